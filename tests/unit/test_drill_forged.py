"""Forged histories: one flaw each, which the checker must call by its name; others only look like it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from hactl.drill.checker import judged
from hactl.drill.history import (
    Answered,
    Claim,
    Event,
    KeySeen,
    Mark,
    Ordered,
    Outcome,
    Pictures,
    Read,
    Row,
    Server,
    Store,
    Write,
)
from hactl.view.journal import Kind
from tests.support.drills import DB2, Forge, whole

Forging = Callable[[Forge], object]


def found(events: list[Event]) -> set[str]:
    return {finding.invariant for finding in judged(events).findings}


def test_a_whole_history_is_clean_and_says_something_about_every_promise() -> None:
    verdict = judged(whole().kept())
    assert verdict.clean, verdict.findings
    assert verdict.silent == ()
    assert verdict.staleness_ms == 0


def acked(forge: Forge) -> list[Write]:
    return [e for e in forge.events if isinstance(e, Write) and e.outcome is Outcome.OK]


def reads(forge: Forge) -> list[Read]:
    return [e for e in forge.events if isinstance(e, Read)]


def put(forge: Forge, old: Event, new: Event) -> None:
    forge.events[forge.events.index(old)] = new


def sees_less(forge: Forge, by: float = 0.001) -> None:
    """A read that does not see w1's last row; asked `by` seconds after that was acknowledged."""
    last = [w for w in acked(forge) if w.client == "w1"][-1]
    read = forge.read()
    begin = last.end + by
    seen = {**read.seen, "w1": last.seq - 1}
    put(forge, read, replace(read, begin=begin - 0.001, sent=begin, end=begin + 0.01, seen=seen))


def failed(forge: Forge, read: Read) -> None:
    put(forge, read, replace(read, outcome=Outcome.FAIL))


def unknown(forge: Forge) -> None:
    forge.write(DB2, Outcome.INFO, there=False)
    forge.read()


def nowhere(forge: Forge) -> None:
    forge.look(db1=(), db2=())
    forge.look(db1=(), db2=("database",))


def lose(forge: Forge) -> None:
    forge.rows.pop(2)


def second_writer(forge: Forge) -> None:
    late = acked(forge)[-2]
    forge.swap(late, server=Server("db9", "7000", 2, "09:59"))


def both_carry(forge: Forge, looks: int = 2) -> None:
    for _ in range(looks):
        forge.look(db1=("database",), db2=("database",))
    forge.look(db1=(), db2=("database",))


def told(forge: Forge, node: str, power: str) -> None:
    forge.events.append(Ordered(node, forge.now - 0.1, power))
    forge.look(db1=(), db2=("database",))


def both_answer(forge: Forge) -> None:
    """As a node does whose kernel goes on after its programs hang, and that no look into kernels found."""
    for _ in range(2):
        forge.answer("db1", "db2")


def nobody_asks(forge: Forge) -> None:
    forge.events[:] = [e for e in forge.events if not isinstance(e, Answered)]


def timeline_back(forge: Forge) -> None:
    forge.write(Server("db2", "7000", 1, "10:09"))


def slow(forge: Forge, limit: float = 0.5) -> None:
    forge.asked = replace(forge.asked, limit=limit)


def second_outage(forge: Forge) -> None:
    forge.asked = replace(forge.asked, silence=10.0)
    forge.now += 11
    forge.write(DB2)


def image(forge: Forge, came_back: str) -> None:
    forge.events += [Store("1.2", "d", 1, 2, Outcome.OK), Pictures({"1.2": came_back})]


def archive(forge: Forge, away: float | None) -> None:
    forge.asked = replace(forge.asked, images=2.0)
    if away is None:
        return
    begin = next(e.begin for e in forge.events if isinstance(e, Mark) and e.what == "fault")
    forge.events.append(Store("1.2", "d", begin, begin + away, Outcome.OK))
    forge.events.append(Pictures({"1.2": "d"}))


def restart(forge: Forge, *, acts: str = "") -> None:
    """Somebody's Orthanc is restarted, as announced and as seen."""
    order = {"order": "o1"}
    forge.act("give-order", data={"node": "arc1", "verb": "restart", "unit": "orthanc"}, closed=order)
    forge.key("order/arc1", json.dumps({"id": "o1", "verb": "restart"}))
    if acts:
        forge.asked = replace(forge.asked, acts=(*(forge.asked.acts or ()), acts))
    forge.look(db1=(), db2=("database",))


def unfinished(forge: Forge) -> None:
    forge.record(Kind.INTENT, "close-incident", forge.now)
    forge.look(db1=(), db2=("database",))


def tamper(forge: Forge) -> None:
    forge.journal[3] = replace(forge.journal[3], actor="somebody else")


def vip_moves(forge: Forge, *, led: bool) -> None:
    if led:
        forge.key("leader", "db1")
    forge.look(db1=("database",), db2=())


def without(forge: Forge, action: str) -> None:
    """As if hactl had done it and not written it down; the chain is made anew."""
    left, forge.journal = [r for r in forge.journal if r.action != action], []
    numbers: dict[int, int] = {}
    for r in left:
        numbers[r.seq] = forge.first + len(forge.journal)
        forge.record(r.kind, r.action, r.mono_ms / 1000, incident=r.incident, epoch=r.epoch,
                     of=numbers.get(r.of, 0), data=r.data)  # fmt: skip


def unseen(forge: Forge, key: str) -> None:
    forge.events = [e for e in forge.events if not (isinstance(e, KeySeen) and e.key == key)]


def damaged(forge: Forge, said: str) -> None:
    forge.sound["db2"] = replace(forge.sound["db2"], said=(said,))


def histories(forge: Forge, digest: str) -> None:
    found = {"00000002.history": digest} if digest else {}
    forge.sound["db1"] = replace(forge.sound["db1"], histories=found)


def promoted(forge: Forge) -> None:
    """Cut off: no client gets there, so that it is no second writer."""
    forge.look(db1=(), db2=("database",))
    forge.ask(db1=Server("db1", "7000", 2, "10:08"))
    forge.look(db1=(), db2=("database",))


def on_the_victim(forge: Forge) -> None:
    """After the new primary began, the old one goes on where nobody else gets to."""
    old = next(w.server for w in acked(forge) if w.server and w.server.node == "db1")
    forge.write(old, client="on-db1", there=False, inside="db1")


def outcast(forge: Forge, node: str, kind: str = "") -> None:
    for w in acked(forge):
        if w.inside == node and w.client.startswith(kind):
            forge.swap(w, outcome=Outcome.INFO)


def none_asked(forge: Forge) -> None:
    forge.asked = replace(forge.asked, inside=())


def nobody_else(forge: Forge) -> None:
    fault = next(e for e in forge.events if isinstance(e, Mark))
    for w in acked(forge):
        if w.begin > fault.end and not w.inside:
            forge.swap(w, outcome=Outcome.INFO)


def refused_there(forge: Forge) -> None:
    old = next(w.server for w in acked(forge) if w.server and w.server.node == "db1")
    forge.write(old, Outcome.INFO, client="on-db1", there=False, inside="db1")
    forge.write(None, Outcome.FAIL, client="on-db1", inside="db1")
    forge.look(db1=None, db2=("database",))


def early_there(forge: Forge) -> None:
    """It does not end the outage: measured are those outside."""
    at = next(i for i, w in enumerate(forge.events) if isinstance(w, Write) and w.server == DB2)
    before = forge.events[at]
    assert isinstance(before, Write)
    early = forge.write(DB2, client="new-db9", inside="db2")
    forge.events.remove(early)
    forge.events.insert(at, replace(early, begin=before.begin - 0.04, sent=before.begin - 0.03,
                                    end=before.begin - 0.02))  # fmt: skip
    slow(forge, 3.5)


BROKEN: list[tuple[str, str, Forging]] = [
    ("two instances acknowledge in turn", "I1", second_writer),
    ("a node writable at the VIP is never heard", "I1", lambda f: deaf(f, "db1")),
    ("a cut-off primary acknowledges to who runs on it", "I1", on_the_victim),
    ("and what it acknowledged there is lost", "I3", on_the_victim),
    ("no client on a node got through", "I1", lambda f: outcast(f, "db2")),
    ("none over a new connection", "I1", lambda f: outcast(f, "db2", "new")),
    ("none over one that it kept", "I1", lambda f: outcast(f, "db2", "on")),
    ("only who runs on a node is served after the fault", "I6", nobody_else),
    ("two nodes answer for the VIP by ARP", "I2", both_answer),
    ("nobody asked for the VIP by ARP", "I2", nobody_asks),
    ("the VIP is on two nodes in two looks", "I2", both_carry),
    ("an acknowledged row is on no node", "I3", lose),
    ("a row is there twice", "I3", lambda f: f.rows.append(replace(f.rows[0], id=999))),
    ("a row that surely failed is there", "I3", lambda f: f.write(DB2, Outcome.FAIL, there=True)),
    ("a row is there that nobody wrote", "I3", lambda f: f.rows.append(Row("w1", 4711, 999))),
    ("an older timeline acknowledges again", "I4", timeline_back),
    ("the other node writes on the same timeline", "I4", lambda f: f.write(replace(DB2, system="7001"))),
    ("a read does not see the newest acknowledged row", "I5", sees_less),
    ("a read sees nothing at all", "I5", lambda f: f.read(behind=99)),
    ("a standby answers with what was true before", "I5", lambda f: f.read(behind=1, recovery=True)),
    ("no read was answered", "I5", lambda f: silence(f, Read)),
    ("the outage is longer than allowed", "I6", slow),
    ("a second outage after the first", "I6", second_outage),
    ("a data file is damaged", "I7", lambda f: damaged(f, "heap table, block 3: invalid page")),
    ("nobody looked through a node's files", "I7", lambda f: f.sound.pop("db1")),
    ("two nodes tell a timeline's history differently", "I4", lambda f: histories(f, "cd")),
    ("who was promoted by hand says so on the other's timeline", "I4", promoted),
    ("an image came back with other pixels", "I7", lambda f: image(f, "x")),
    ("a BMC was told off, and the journal does not know", "I10", lambda f: told(f, "db2", "off")),
    ("or on", "I10", lambda f: told(f, "db1", "on")),
    ("the archive takes no image for too long", "I6", lambda f: archive(f, 3.0)),
    ("no image was sent to an archive that should take some", "I6", lambda f: archive(f, None)),
    ("an order nobody needed", "I8", restart),
    ("the role moved, and the fault asks for no move", "I8",
     lambda f: setattr(f, "asked", replace(f.asked, failovers=(0, 0)))),
    ("the role did not move, and it should have", "I8",
     lambda f: setattr(f, "asked", replace(f.asked, failovers=(2, 2)))),
    ("a record was changed", "I10", tamper),
    ("a record is missing", "I10", lambda f: f.journal.pop(3)),
    ("an act has no result", "I10", unfinished),
    ("a fence that no record announces", "I10", lambda f: without(f, "open-incident")),
    ("a readmission that no record announces", "I10", lambda f: without(f, "readmit")),
    ("a released leader key that no record announces", "I10", lambda f: without(f, "release-leader")),
    ("an order that no record announces", "I10", lambda f: f.key("order/arc1", '{"id":"o9"}')),
    ("a drain that no record announces", "I10", lambda f: f.key("archive/arc1/drain", "{}")),
    ("a fence in the journal that nobody saw", "I10", lambda f: unseen(f, "fence/db1")),
    ("the VIP moves to a node that does not lead", "I10", lambda f: vip_moves(f, led=False)),
    ("nobody watched etcd", "I10", lambda f: silence(f, KeySeen)),
]  # fmt: skip

NEAR: list[tuple[str, Forging]] = [
    ("an answer that only arrived late", lambda f: f.swap(acked(f)[0], end=acked(f)[0].end + 0.01)),
    ("a client on the victim is refused, or never answered", refused_there),
    ("a client on the new primary is served before all others", early_there),
    ("clients on nodes in a history in which none had to be", lambda f: (outcast(f, "db1"), none_asked(f))),
    ("a node that has no file of that history yet", lambda f: histories(f, "")),
    ("one look during which the VIP moved", lambda f: both_carry(f, looks=1)),
    ("an unknown row that is not there", lambda f: f.write(DB2, Outcome.INFO, there=False)),
    ("PostgreSQL restarts on its timeline", lambda f: f.write(replace(DB2, started="10:09"))),
    ("a read asked before the row was acknowledged", lambda f: sees_less(f, by=-0.001)),
    ("a read that does not see an unknown row", unknown),
    ("a standby answers, and has everything", lambda f: f.read("db1", recovery=True)),
    ("a read that failed", lambda f: failed(f, f.read(behind=99))),
    ("an outage just within its limit", lambda f: slow(f, 3.5)),
    ("an image came back as it was", lambda f: image(f, "d")),
    ("an order that the fault asks for", lambda f: restart(f, acts="give-order arc1")),
    ("an order whose verb the fault asks for", lambda f: restart(f, acts="give-order:restart")),
    ("the VIP follows the leader key", lambda f: vip_moves(f, led=True)),
    ("the VIP was nowhere for a moment", nowhere),
    ("an act begun after the watches ended", lambda f: f.record(Kind.INTENT, "close-incident", f.now + 60)),
]  # fmt: skip


def deaf(forge: Forge, node: str) -> None:
    forge.events = [
        e for e in forge.events if not (isinstance(e, Claim) and e.node == node and e.writable is not None)
    ]


def silence(forge: Forge, kind: type[Event]) -> None:
    forge.events = [e for e in forge.events if not isinstance(e, kind)]


@pytest.mark.parametrize(("name", "invariant", "forging"), BROKEN, ids=[f"{i}: {n}" for n, i, _ in BROKEN])
def test_found(name: str, invariant: str, forging: Forging) -> None:
    forge = whole()
    forging(forge)
    findings = judged(forge.kept()).findings
    assert invariant in {f.invariant for f in findings}, (name, findings)


@pytest.mark.parametrize(("name", "forging"), NEAR, ids=[n for n, _ in NEAR])
def test_let_pass(name: str, forging: Forging) -> None:
    forge = whole()
    forging(forge)
    assert judged(forge.kept()).findings == (), name


def test_an_old_primary_that_thawed_answers_reads_with_the_staleness_in_ms() -> None:
    forge = whole()
    last = [w for w in acked(forge) if w.client == "w1"][-1]
    read = forge.read("db1")
    put(forge, read, replace(read, sent=last.end + 1.5, end=last.end + 1.6, seen={"w1": last.seq - 1}))
    verdict = judged(forge.kept())
    assert verdict.staleness_ms == 1500
    (finding,) = verdict.findings
    assert finding.sentence == "1 reads did not see what was acknowledged before"
    assert "r1 asked db1 at" in finding.evidence[0]
