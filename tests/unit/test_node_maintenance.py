"""A node that somebody works on: left alone, with one finding; who leads is never left alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hactl.decide.grey import GreyMemory, decide_grey
from hactl.decide.health import Health, judge
from hactl.decide.pacing import hands_off, left_alone
from hactl.decide.preconditions import examine
from hactl.decide.recovery import RecoveryMemory, decide_recovery
from hactl.view.control import ControlView
from hactl.view.keys import Keys
from hactl.view.kv import Pair, RangesReply
from hactl.view.parse.control import parse_look
from tests.support.keysview import ILL, at_second, facts_of, led_by
from tests.support.nodes import keys_of, maintained, world
from tests.support.views import archive_lost, demo_spec, facts, host_lost, patroni_lost, patroni_says, standby

SPEC = demo_spec()
KEYS = Keys("demo")
ON_DB2 = maintained("db2")
IDLE = patroni_says("db2", standby("db2", replication_state="", sync=False))


def names(verdict: Any) -> list[str]:
    return [f.code.name for f in verdict.findings]


def repairs(*changes: Any) -> list[str]:
    """What recovery orders within three minutes."""
    dcs, view, memory, done = keys_of(*changes), world(IDLE), RecoveryMemory(), []
    for second in range(180):
        plan, memory = decide_recovery(SPEC, view, at_second(dcs, second), memory, 1000.0 + second)
        done += [str(step.action) for step in plan.steps] + list(plan.alarms)
    return done


def test_nothing_is_repaired_there_and_afterwards_it_is() -> None:
    down = facts_of("db2", units={"patroni.service": "inactive"})
    assert repairs(down)
    assert not repairs(down, ON_DB2)


def test_a_grey_failure_there_is_nobodys_business() -> None:
    for changes, acts in (((), True), ((ON_DB2,), False)):
        dcs, memory, done = keys_of(facts_of("db2", keepalived=ILL), *changes), GreyMemory(), []
        for second in range(10):
            control = ControlView("wit1", True, at_second(dcs, second), 1000.0 + second)
            plan, memory = decide_grey(SPEC, control, world(), memory, 1000.0 + second)
            done += plan.steps
        assert bool(done) == acts


def test_who_leads_is_looked_after_whatever_was_said() -> None:
    dcs = keys_of(ON_DB2)
    veto = hands_off(dcs, "db2")
    assert veto is not None
    assert veto.code == "MAINTENANCE"
    leads = keys_of(ON_DB2, led_by("db2"))
    assert left_alone(leads, "db2") is None
    assert hands_off(leads, "db2") is None


@pytest.mark.parametrize(
    ("node", "change", "quiet"),
    [
        ("db2", host_lost("db2"), "NODE_UNREACHABLE"),
        ("db2", patroni_lost("db2"), "PATRONI_DOWN"),
        ("arc2", archive_lost("arc2"), "ARCHIVE_NODE_DOWN"),
    ],
)
def test_what_the_work_makes_look_ill_is_one_finding(node: str, change: Any, quiet: str) -> None:
    assert quiet in names(judge(SPEC, world(change)))
    verdict = judge(SPEC, world(change, dcs=(maintained(node),)))
    found = next(f for f in verdict.findings if f.code.name == "NODE_MAINTENANCE")
    assert quiet not in names(verdict)
    assert quiet in found.detail, "nothing is hidden"
    assert verdict.health is Health.DEGRADED


def test_what_endangers_others_is_said_all_the_same() -> None:
    view = world(archive_lost("arc1"), archive_lost("arc2"), dcs=(maintained("arc1"),))
    assert {"ALL_ARCHIVES_DOWN", "ARCHIVE_NODE_DOWN"} <= set(names(judge(SPEC, view)))
    leads = world(host_lost("db1"), dcs=(maintained("db1"),))
    assert "PRIMARY_UNREACHABLE" in names(judge(SPEC, leads))


def test_the_doctor_is_as_quiet_and_the_next_command_fits() -> None:
    stopped = facts("db2", units={"patroni.service": "inactive"})
    assert "UNIT_NOT_RUNNING" in names(examine(SPEC, world(stopped), {}))
    verdict = examine(SPEC, world(stopped, dcs=(maintained("db2", stopped=True),)), {})
    assert "UNIT_NOT_RUNNING" not in names(verdict)
    found = next(f for f in verdict.findings if f.code.name == "NODE_MAINTENANCE")
    assert found.fix == "hactl node start db2"


def test_the_key_is_read_with_all_others() -> None:
    pair = Pair(KEYS.maintenance("db2"), '{"by":"anna","stopped":true}', 5, 5, 1, 7)
    dcs = parse_look(KEYS, RangesReply(9, ((pair,),)))
    assert dcs.maintenance["db2"].stopped
    assert dcs.problems == ()
    unread = parse_look(KEYS, RangesReply(9, ((dataclasses.replace(pair, value="{"),),)))
    assert "db2" in unread.maintenance
