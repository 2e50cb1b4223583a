"""A failover that a person orders: what nobody overrules, what --force does, and what would be lost."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hactl.decide.forced import Forced, Loss, intent, may_force
from hactl.units import Bytes, Lsn
from hactl.view.control import Dcs, FenceIntent, Key, Leader, Maintenance
from hactl.view.model import DbRole, Unknown
from hactl.view.pause import Pause
from tests.support.keysview import KeysChange, agent_silent, facts_of, keys_with, led_by, sync
from tests.support.nodes import world
from tests.support.views import Change, demo_spec, host_lost, patroni_lost, patroni_says, primary, standby

SPEC = demo_spec()
DEAD = patroni_lost("db1")
BY_HAND = FenceIntent("db1", 5, "by-hand-5", "operator anna", Leader("db1", 71, 90))
CONTROLLERS = dataclasses.replace(BY_HAND, incident="failover-5")


def judged(*changes: Change, dcs: tuple[KeysChange, ...] = (), to: str = "db2") -> Forced:
    return may_force(SPEC, world(*changes, dcs=dcs), to)


def codes(found: Forced) -> tuple[set[str], set[str]]:
    return {v.code for v in found.hard}, {v.code for v in found.soft}


def patroni_keys(**changes: Any) -> KeysChange:
    def change(dcs: Dcs) -> Dcs:
        return dataclasses.replace(dcs, patroni=dataclasses.replace(dcs.patroni, **changes))

    return change


def test_a_lost_primary_and_a_synchronous_standby_need_no_force() -> None:
    found = judged(DEAD)
    assert codes(found) == (set(), set())
    assert (found.victim, found.target, found.named) == ("db1", "db2", False)
    assert found.loss == Loss(nothing=True)


def test_a_primary_that_runs_is_given_away_by_a_switchover() -> None:
    assert codes(judged()) == (set(), {"PRIMARY_ANSWERS"})


NEVER: list[tuple[str, str, tuple[Change, ...], tuple[KeysChange, ...]]] = [
    ("ALREADY_PRIMARY", "db1", (), ()),
    ("INCIDENT_OPEN", "db2", (DEAD,), (keys_with(incident="{}"),)),
    ("TARGET_FENCED", "db2", (DEAD,), (keys_with(fences={"db2": dataclasses.replace(BY_HAND, node="db2")}),)),
    ("FENCE_OPEN", "db2", (DEAD,), (keys_with(fences={"db1": CONTROLLERS}),)),
    ("TARGET_UNKNOWN", "db2", (DEAD, patroni_lost("db2")), ()),
    ("TARGET_DOWN", "db2", (DEAD, patroni_says("db2", standby("db2", state="start failed"))), ()),
    ("TARGET_DOWN", "db2", (DEAD, patroni_says("db2", primary("db2", state="crashed"))), ()),
    ("DATA_INCOMPLETE", "db2", (DEAD, patroni_says("db2", standby("db2", identified=False))), ()),
    ("OTHER_TIMELINE", "db2", (DEAD, patroni_says("db2", standby("db2", timeline=2))), ()),
    ("TIMELINE_UNKNOWN", "db2", (DEAD, patroni_says("db2", standby("db2", timeline=None))), ()),
    ("OTHER_TIMELINE", "db2", (DEAD,), (patroni_keys(members={}, timeline=4),)),
    ("JOINING", "db2", (DEAD,), (facts_of("db2", joining="pg_rewind"),)),
    ("ETCD_UNREADABLE", "db2", (DEAD,), (keys_with(problems=("/hactl/demo/fence/db1: no",)),)),
    ("NO_PRIMARY", "db2", (DEAD,), (patroni_keys(leader=Leader("db9", 1, 2)),)),
]


@pytest.mark.parametrize(("code", "to", "changes", "dcs"), NEVER)
def test_nobody_overrules(code: str, to: str, changes: Any, dcs: Any) -> None:
    assert code in codes(judged(*changes, dcs=dcs, to=to))[0]


def test_nothing_could_prove_it_silent() -> None:
    spec = SPEC.model_copy(update={"fencing": SPEC.fencing.model_copy(update={"agents": {}})})
    view = world(host_lost("db1"), dcs=(agent_silent("db1"),))
    assert [v.code for v in may_force(spec, view, "db2").hard] == ["NOT_PROVABLE"]
    leased = keys_with(alive={"db1": Key("{}", 95)}, mode_revisions={"db1": 80})
    view = world(host_lost("db1"), dcs=(agent_silent("db1"), leased))
    assert may_force(spec, view, "db2").hard == ()


def test_without_etcd_nothing_is_done() -> None:
    view = dataclasses.replace(world(), control=Unknown("no quorum"))
    assert [v.code for v in may_force(SPEC, view, "db2").hard] == ["ETCD_UNKNOWN"]


COSTS: list[tuple[str, tuple[KeysChange, ...]]] = [
    ("PAUSED", (keys_with(paused=True, pause=Pause("anna", "switch")),)),
    ("PATRONI_PAUSED", (patroni_keys(paused=True),)),
    ("NOT_IN_SYNC", (sync(),)),
    ("SYNC_NOT_THE_LEADERS", (patroni_keys(sync_leader="db2"),)),
    ("TOO_MANY_FAILOVERS", (keys_with(recent_failovers=3),)),
    ("IN_MAINTENANCE", (keys_with(maintenance={"db2": Maintenance("db2", "anna")}),)),
]


@pytest.mark.parametrize(("code", "dcs"), COSTS)
def test_force_overrules(code: str, dcs: Any) -> None:
    hard, soft = codes(judged(DEAD, dcs=dcs))
    assert (hard, soft) == (set(), {code})


def test_what_would_be_lost_is_said_in_bytes_and_time() -> None:
    behind = standby("db2", lsn=Lsn(0x1000000), replayed_at=world().at - 90)
    found = judged(DEAD, patroni_says("db2", behind), dcs=(sync(), patroni_keys(written=Lsn(0x3000000))))
    assert found.loss == Loss(nothing=False, behind=Bytes(0x2000000), commit_age=90.0)
    assert "it is 32.0 MiB behind, its last commit was made 90 s ago" in found.loss.said
    assert codes(found)[1] == {"NOT_IN_SYNC", "STANDBY_LAGGING"}
    assert found.named, "Patroni would not choose it"
    unknown = judged(DEAD, patroni_says("db2", standby("db2", lsn=None)), dcs=(sync(),))
    assert unknown.loss.behind is None
    assert "not known" in unknown.loss.said


def test_where_nobody_leads_the_other_one_is_fenced() -> None:
    found = judged(DEAD, dcs=(led_by(None), patroni_keys(sync_leader="db1")))
    assert (found.victim, found.leader, found.named) == ("db1", None, True)
    assert codes(found) == (set(), set())
    made = intent(4, found, "anna", "")
    assert (made.epoch, made.incident, made.leader) == (5, "by-hand-5", Leader("db1", 0, 0))


def test_it_goes_on_from_a_fence_set_by_hand() -> None:
    found = judged(DEAD, dcs=(keys_with(fences={"db1": BY_HAND}),))
    assert found.fence == BY_HAND
    assert codes(found) == (set(), set())


def test_roles_are_patronis_own_word() -> None:
    found = judged(DEAD, patroni_says("db2", standby("db2", role=DbRole.UNKNOWN, state="running")))
    assert "TARGET_DOWN" in codes(found)[0]
