"""Whatever correct history there is: one flaw of a known kind is found, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hactl.drill.checker import judged
from hactl.drill.history import Asked, Claim, Event, Glance, Look, Outcome, Read, Server, Write
from hactl.view.control_text import incident_object
from hactl.view.incident import Incident
from hactl.view.journal import Kind
from tests.support.drills import DB1, Forge

STEPS = st.lists(
    st.sampled_from(["ok", "probe", "info", "lost-info", "fail", "read", "look", "promote"]), max_size=40
)


def acked(forge: Forge) -> list[Write]:
    return [e for e in forge.events if isinstance(e, Write) and e.outcome is Outcome.OK]


def put(forge: Forge, old: Event, new: Event) -> None:
    forge.events[forge.events.index(old)] = new


def played(steps: list[str]) -> Forge:
    """Any order of what a correct pair can show; hactl gives the key away at each promotion."""
    forge, server = Forge(), DB1
    forge.record(Kind.EVENT, "mark", 1.0)
    forge.keys = {"leader": "db1"}
    forge.key("leader", "db1")
    around(forge, server)
    for step in [*steps, "promote"]:
        if step == "promote":
            other = "db2" if server.node == "db1" else "db1"
            server = Server(other, server.system, server.timeline + 1, f"after {server.timeline}")
            handed_over(forge, other)
            around(forge, server)
        elif step == "read":
            forge.read(server.node)
        elif step == "look":
            looks(forge, server)
        elif step == "fail":
            forge.write(None, Outcome.FAIL)
        else:
            outcome = Outcome.INFO if "info" in step else Outcome.OK
            client = "probe" if step == "probe" else "w1"
            forge.write(server, outcome, client=client, there=step != "lost-info")
    moves = 1 + steps.count("promote")
    acts = ("open-incident", "release-leader", "readmit")
    forge.asked = Asked(failovers=(moves, moves), acts=acts, must=("I5", "I8", "I10"))
    return forge


def around(forge: Forge, server: Server) -> None:
    forge.write(server)
    forge.write(server, client="probe")
    looks(forge, server)
    looks(forge, server)
    forge.read(server.node)


def looks(forge: Forge, server: Server) -> None:
    other = "db2" if server.node == "db1" else "db1"
    forge.ask(**{server.node: server, other: False})
    forge.look(**{server.node: ("database",), other: ()})


def handed_over(forge: Forge, to: str) -> None:
    victim, epoch = "db2" if to == "db1" else "db1", len(forge.journal)
    about = {"incident": f"failover-{epoch}", "epoch": epoch}
    opened = incident_object(Incident(f"failover-{epoch}", "failover", victim, to, epoch))
    forge.act("open-incident", said="fence intent", data={"incident": opened}, **about)
    forge.key(f"fence/{victim}", json.dumps({"epoch": epoch}))
    said = "leader key deleted at revision 7, on lease"
    forge.act("release-leader", said=said, data={"intent": {"node": victim}}, **about)
    forge.key("leader", to)
    forge.act("readmit", said=f"fence of {victim} removed", data={"node": victim}, epoch=epoch)
    forge.key(f"fence/{victim}", None)
    forge.now += 0.2


def newest(forge: Forge) -> Server:
    server = acked(forge)[-1].server
    assert server
    return server


def lost(forge: Forge, data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(acked(forge)))
    forge.rows = [r for r in forge.rows if (r.client, r.seq) != (gone.client, gone.seq)]


def two_carry(forge: Forge, _: st.DataObject) -> None:
    for _again in range(2):
        forge.look(db1=("database",), db2=("database",))


def both_writable(forge: Forge, _: st.DataObject) -> None:
    """The old primary says so where clients reach it, while the new one says so too."""
    server = newest(forge)
    old = next(w.server for w in acked(forge) if w.server and w.server.node != server.node)
    index = max(i for i, e in enumerate(forge.events) if isinstance(e, Look))
    look = forge.events[index]
    assert isinstance(look, Look)
    forge.events.append(Claim(old.node, look.at + 0.01, look.at + 0.02, writable=True, server=old))
    both = {n: Glance(g.begin, g.end, ("database",)) for n, g in look.nodes.items()}
    forge.events[index] = replace(look, nodes=both)
    forge.ask(**{server.node: server})


def stale(forge: Forge, data: st.DataObject) -> None:
    read = data.draw(st.sampled_from([e for e in forge.events if isinstance(e, Read)]))
    before = [w.seq for w in acked(forge) if w.client == "w1" and w.end < (read.sent or 0.0)]
    put(forge, read, replace(read, seen={**read.seen, "w1": max(before) - 1}))


def too_slow(forge: Forge, _: st.DataObject) -> None:
    forge.mark("fault", "db1", lasting=5.0)
    forge.write(newest(forge), client="probe")
    forge.asked = replace(forge.asked, limit=2.0)


def differ(forge: Forge, _: st.DataObject) -> None:
    forge.write(newest(forge), Outcome.INFO, there=True)
    forge.odd = True


def one_more(forge: Forge, _: st.DataObject) -> None:
    order = {"order": "o1"}
    forge.act("give-order", data={"node": "arc1", "verb": "restart", "unit": "orthanc"}, closed=order)
    forge.key("order/arc1", json.dumps({"id": "o1", "verb": "restart"}))
    looks(forge, newest(forge))


def other_system(forge: Forge, _: st.DataObject) -> None:
    server = newest(forge)
    forge.write(replace(server, system="7001", started="later", timeline=server.timeline + 1))


def orphan(forge: Forge, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(["fence/db1", "order/arc1", "archive/arc2/drain", "prime/db2"]))
    forge.key(key, json.dumps({"id": "o9", "epoch": 999}))


def retold(forge: Forge, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(forge.journal) - 1))
    forge.journal[index] = replace(forge.journal[index], wall="2026-11-22T09:00:00+00:00")


MUTATIONS = {
    both_writable: "I1", two_carry: "I2", lost: "I3", other_system: "I4", stale: "I5", too_slow: "I6",
    differ: "I7", one_more: "I8", orphan: "I10", retold: "I10",
}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_any_correct_history_with_reads_etcd_and_journal_is_clean(steps: list[str]) -> None:
    verdict = judged(played(steps).kept())
    assert verdict.clean, verdict.findings


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: m.__name__)
@settings(max_examples=25, deadline=None)
@given(steps=STEPS, data=st.data())
def test_exactly_the_broken_promise_is_found(
    mutation: Callable[[Forge, st.DataObject], None], steps: list[str], data: st.DataObject
) -> None:
    forge = played(steps)
    mutation(forge, data)
    assert {f.invariant for f in judged(forge.kept()).findings} == {MUTATIONS[mutation]}
