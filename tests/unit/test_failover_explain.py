"""The tree that `failover --explain` prints, and where controller and etcd's leader should be."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hactl.decide.control import ControlMemory, decide_control
from hactl.decide.explain import Branch, as_object, explain, lines
from hactl.decide.memory import FailoverMemory
from hactl.decide.plan import MoveEtcdLeader, YieldControl
from hactl.spec.model import ClusterSpec
from hactl.units import Lsn
from hactl.view.control import DcsMember, PathState
from hactl.view.incident import Phase
from hactl.view.model import DbRole, Unknown
from tests.support import failover as f

NOW = 1.05


def tree(spec: ClusterSpec, *changes: f.Change, now: float = NOW) -> dict[str, Branch]:
    """The whole tree by code, after db1 was watched up to now."""
    view = f.at(f.changed(f.healthy(), *changes), now)
    found: dict[str, Branch] = {}

    def walk(branch: Branch) -> None:
        found[branch.code] = branch
        for part in branch.under:
            walk(part)

    walk(explain(spec, view, f.Story(spec).warm().idle().memory, now))
    return found


def test_of_a_healthy_pair_it_says_what_would_happen() -> None:
    found = tree(f.bare())
    said = found["FAILOVER"].said
    assert said.startswith("db1 is not suspected")
    assert found["NOT_SUSPECTED"].holds is False
    assert found["STANDBY_NOT_STREAMING"].holds is True
    assert found["lease-expired"].said == "its lease would end at most 3 s after its last renewal"
    assert found["power-off"].holds is False
    assert found["RPO"].said == "0: db2 has every acknowledged commit"


def renewing() -> FailoverMemory:
    """db1 has just renewed its lease."""
    memory = f.Story(f.bare()).warm().idle().memory
    return replace(memory, renewals={"db1": replace(memory.renewals["db1"], at=NOW - 0.1)})


def test_signs_of_life_of_a_healthy_primary_are_no_vetoes_for_when_it_is_lost() -> None:
    whole = explain(f.bare(), f.at(f.healthy(), NOW), renewing(), NOW)
    conditions = next(b for b in whole.under if b.code == "PRECONDITIONS")
    found = {b.code: b for b in conditions.under}
    assert found["STILL_RENEWING"].holds is None
    assert found["STILL_RENEWING"].said == "db1 renewed its lease 0.1 s ago"
    assert conditions.holds is True
    assert whole.said == "db1 is not suspected; if it were lost, it would be fenced"


def test_of_a_suspected_one_they_are_vetoes() -> None:
    whole = explain(f.bare(), f.at(f.changed(f.healthy(), f.lost), NOW), renewing(), NOW)
    assert whole.said == "db1 is suspected, and vetoed by STILL_RENEWING"


def test_of_a_lost_primary_it_says_that_it_acts() -> None:
    found = tree(f.armed(), f.lost)
    assert found["FAILOVER"] == replace(found["FAILOVER"], holds=True, said="db1 would be fenced now")
    assert found["power-off"].said == "fence_ipmilan would cut its power"


def test_of_a_vetoed_failover_it_names_every_veto() -> None:
    found = tree(f.bare(), f.lost, f.keys(paused=True, recent_failovers=3))
    assert found["FAILOVER"].said == "db1 is suspected, and vetoed by PAUSED, TOO_MANY_FAILOVERS"


def test_under_an_intent_it_says_when_each_proof_is_due() -> None:
    found = tree(f.bare(), f.lost, f.opened(), now=1.3)
    assert "due in 2.0 s" in found["lease-expired"].said
    assert found["self-fenced"].said == "its agent has not answered the intent"


@pytest.mark.parametrize(
    ("place", "holds"),
    [("db1", False), ("wit1", True), (Unknown("no answer"), None)],
)
def test_where_etcds_leader_is(place: str | Unknown, *, holds: bool | None) -> None:
    assert tree(f.bare(), f.seen(etcd_leader=place))["ETCD_LEADER"].holds is holds


def test_the_loss_of_a_standby_that_is_not_in_sync_is_counted_in_bytes() -> None:
    members = {
        "db1": DcsMember("db1", DbRole.PRIMARY, "running", lsn=Lsn(5000)),
        "db2": DcsMember("db2", DbRole.STANDBY, "running", lsn=Lsn(4000)),
    }
    found = tree(f.bare(), f.patroni(sync_standbys=(), members=members))
    assert (found["RPO"].said, found["RPO"].holds) == ("db2 lacks 1000 bytes of WAL", False)
    nothing = tree(f.bare(), f.patroni(sync_standbys=(), members={}))
    assert nothing["RPO"].said.startswith("not predictable")


def test_it_has_an_answer_when_nothing_is_known() -> None:
    view = f.seen(dcs=Unknown("no quorum"), etcd_leader=Unknown("no quorum"))(f.healthy())
    root = explain(f.bare(), view, FailoverMemory(), NOW)
    text = "\n".join(lines(root))
    assert "ETCD_UNKNOWN: etcd does not answer [no quorum]" in text
    assert json.loads(json.dumps(as_object(root)))["code"] == "FAILOVER"


# -- where controller and etcd's leader should be


def moved(*changes: f.Change, memory: ControlMemory | None = None, now: float = 10.0) -> list[object]:
    view = f.at(f.changed(f.healthy(now), *changes), now)
    plan, _ = decide_control(f.bare(), view, memory or ControlMemory(), now)
    return f.actions(plan)


ON_PRIMARY = f.seen(etcd_leader="db1")
HERE = f.seen(me="db1")
WAITS = f.opened(phases=(Phase.FIRST_COMMIT,), fences={})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param((ON_PRIMARY,), [MoveEtcdLeader("wit1")], id="etcd's leader leaves the primary's host"),
        pytest.param((f.seen(etcd_leader="db2"),), [], id="on the standby's host it may stay"),
        pytest.param((f.seen(etcd_leader=Unknown("?")),), [], id="of an unknown place nothing is moved"),
        pytest.param(
            (ON_PRIMARY, f.paths("wit1", etcd=PathState(1, 9.0))),
            [MoveEtcdLeader("db2")],
            id="to one that answers",
        ),
        pytest.param((ON_PRIMARY, f.seen(paths={})), [], id="to nobody who was not heard"),
        pytest.param((ON_PRIMARY, f.keys(paused=True)), [], id="not while paused"),
        pytest.param((ON_PRIMARY, f.opened()), [], id="not while an incident is under way"),
        pytest.param(
            (ON_PRIMARY, WAITS), [MoveEtcdLeader("wit1")], id="while an incident waits for its victim"
        ),
        pytest.param((ON_PRIMARY, f.misses("patroni", n=1)), [], id="not while the primary is hard to reach"),
        pytest.param((ON_PRIMARY, f.seen(holding=False)), [], id="not by a controller that stands by"),
        pytest.param((ON_PRIMARY, f.seen(dcs=Unknown("?"))), [], id="not without a look at etcd"),
        pytest.param((ON_PRIMARY, f.patroni(leader=None)), [], id="not while nobody leads"),
        pytest.param((ON_PRIMARY, f.keys(incident="{")), [], id="not during what cannot be read"),
    ],
)
def test_etcds_leader(changes: tuple[f.Change, ...], expected: list[object]) -> None:
    assert moved(*changes) == expected


def test_etcds_leader_is_moved_at_most_each_half_minute() -> None:
    assert moved(ON_PRIMARY, memory=ControlMemory(moved=0.0), now=29.0) == []
    assert moved(ON_PRIMARY, memory=ControlMemory(moved=0.0), now=31.0) == [MoveEtcdLeader("wit1")]


@pytest.mark.parametrize(
    ("changes", "yields"),
    [
        pytest.param((HERE, f.keys(standing_by=("db2", "wit1"))), True, id="another stands by elsewhere"),
        pytest.param((HERE, f.keys(standing_by=())), False, id="nobody stands by"),
        pytest.param((HERE, f.keys(standing_by=("db1",))), False, id="only on the same node"),
        pytest.param((f.keys(standing_by=("db2",)),), False, id="it is not on the primary's node"),
        pytest.param((HERE, f.keys(standing_by=("db2",)), f.opened()), False, id="an incident is under way"),
    ],
)
def test_the_controller_leaves_the_primarys_node_when(changes: tuple[f.Change, ...], *, yields: bool) -> None:
    assert [type(a) for a in moved(*changes)] == ([YieldControl] if yields else [])


def test_control_is_not_handed_over_again_at_once() -> None:
    changes = (HERE, f.keys(standing_by=("db2",)))
    assert moved(*changes, memory=ControlMemory(yielded=5.0)) == []
