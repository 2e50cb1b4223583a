from __future__ import annotations

import dataclasses

import pytest

from hactl.decide.codes import CODES, Severity
from hactl.decide.health import Health, judge
from hactl.view.control import Dcs, Heartbeat, Mode
from hactl.view.control_text import incident_text
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.model import Unknown
from tests.support.keysview import (
    ILL,
    KeysChange,
    after_keys,
    agent_silent,
    budget,
    facts_of,
    fenced,
    full,
    keys_with,
    postgres_of,
)
from tests.support.views import Change, after, demo_spec, facts, patroni_says, standby

SPEC = demo_spec()
BEHIND = patroni_says("db2", standby("db2", replication_state=""))
MISSED = Heartbeat(misses=3, why="no answer within 1 s")


def seen(dcs: Dcs | Unknown) -> Change:
    return lambda v: dataclasses.replace(v, control=dcs)


def beating(heartbeat: Heartbeat) -> Change:
    return lambda v: dataclasses.replace(v, heartbeat=heartbeat)


def without_facts() -> Change:
    return lambda v: dataclasses.replace(v, facts={})


ROWS = [
    pytest.param([], set(), id="all is well"),
    pytest.param([keys_with(active=None)], {"CONTROLLER_NONE"}, id="nobody controls"),
    pytest.param([keys_with(standing_by=())], {"CONTROLLER_ALONE"}, id="one controller, and none behind it"),
    pytest.param([keys_with(standing_by=("wit1",))], {"CONTROLLER_ALONE"}, id="it does not stand by itself"),
    pytest.param([keys_with(incident="{}")], {"INCIDENT_OPEN"}, id="an incident"),
    pytest.param([fenced("db1")], {"FENCED"}, id="a fence"),
    pytest.param([keys_with(modes={"db2": Mode.OPEN})], {"LEASE_OPEN"}, id="a node without its agent"),
    pytest.param([agent_silent("arc1")], {"AGENT_SILENT"}, id="an agent is silent"),
    pytest.param(
        [agent_silent("arc1"), keys_with(archives_known=False)], set(), id="their keys are not read yet"
    ),
    pytest.param([facts_of("arc1", keepalived=ILL)], {"KEEPALIVED_DOWN"}, id="keepalived is frozen"),
    pytest.param([facts_of("db2", vips=("192.0.2.100",))], {"VIP_ON_TWO_NODES"}, id="two have the address"),
    pytest.param([facts_of("db2", canary=ILL)], {"DISK_STALLED"}, id="a database's disk stalls"),
    pytest.param([facts_of("arc1", canary=ILL)], set(), id="only a database's disk is judged so"),
    pytest.param([full("db1", 0.86)], {"DISK_NEARLY_FULL"}, id="a disk at 86 %"),
    pytest.param([full("db1", 0.84)], set(), id="a disk at 84 %"),
    pytest.param(
        [facts_of("wit1", units={"etcd.service": "inactive", "hactl-controller.service": "failed"})],
        {"UNIT_NOT_RUNNING"}, id="a unit does not run",
    ),
    pytest.param([postgres_of("db1", lost_slots=("db2",))], {"SLOT_LOST"}, id="a slot is lost"),
    pytest.param([postgres_of("db2", damaged=("orthanc",))], {"PAGES_DAMAGED"}, id="a page is damaged"),
    pytest.param(
        [budget("arc1", "restart:orthanc.service", 3), facts_of("arc1", units={"orthanc.service": "failed"})],
        {"UNIT_NOT_RUNNING", "RECOVERY_GIVEN_UP"}, id="a unit that no restart helps",
    ),
    pytest.param(
        [budget("arc1", "restart:orthanc.service", 3), facts_of("arc1", units={"orthanc.service": "active"})],
        set(), id="the last restart helped",
    ),
    pytest.param([budget("db2", "rejoin", 2), budget("db2", "reinit", 2)], set(), id="the last copy helped"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "codes"), ROWS)
def test_what_the_keys_say(changes: list[KeysChange], codes: set[str]) -> None:
    verdict = judge(SPEC, after(without_facts(), seen(after_keys(*changes))))
    assert {f.code.name for f in verdict.findings} == codes


def test_a_standby_that_nothing_helps() -> None:
    keys = after_keys(budget("db2", "rejoin", 2), budget("db2", "reinit", 2))
    found = {f.code.name for f in judge(SPEC, after(BEHIND, seen(keys))).findings}
    assert found == {"STANDBY_LOST", "RECOVERY_GIVEN_UP"}


def test_a_standby_on_a_newer_timeline_has_diverged() -> None:
    ahead = patroni_says("db2", standby("db2", timeline=4))
    assert {f.code.name for f in judge(SPEC, after(ahead)).findings} == {"STANDBY_DIVERGED"}


def test_the_active_controller_s_heartbeat_is_judged() -> None:
    verdict = judge(SPEC, after(beating(MISSED)))
    assert verdict.health is Health.FAILED
    assert [f.code.name for f in verdict.findings] == ["HEARTBEAT_FAILING"]


def test_the_doctor_s_own_look_at_a_disk_comes_first() -> None:
    verdict = judge(SPEC, after(facts("db1"), seen(after_keys(full("db1", 0.99)))))
    assert not verdict.findings


def test_who_did_not_look_finds_nothing_and_who_could_not_says_so() -> None:
    assert not judge(SPEC, after()).findings
    found = judge(SPEC, after(seen(Unknown("no answer")))).findings
    assert [(f.code.name, f.subject) for f in found] == [("SOURCE_UNKNOWN", "hactl")]


def test_what_an_application_feels_is_an_error() -> None:
    assert {n for n, c in CODES.items() if c.severity is Severity.ERROR} >= {
        "DISK_STALLED",
        "HEARTBEAT_FAILING",
    }


@pytest.mark.parametrize(
    ("tries", "phases", "said"),
    [
        pytest.param(1, (), False, id="one try is left"),
        pytest.param(2, (), True, id="it stays off"),
        pytest.param(2, (Phase.POWERED_ON,), False, id="the second try helped"),
    ],
)
def test_a_node_that_hactl_cut_and_cannot_switch_on_is_said(
    tries: int, phases: tuple[Phase, ...], *, said: bool
) -> None:
    epoch = next(iter(after_keys(fenced("db1")).fences.values())).epoch
    stamps = tuple(Stamp(p, "wit1", 0, "") for p in phases)
    details = {"power_tries": tries}
    open_one = Incident("failover-1", "failover", "db1", "db2", epoch, stamps=stamps, details=details)
    keys = after_keys(fenced("db1"), keys_with(incident=incident_text(open_one)))
    found = judge(SPEC, after(seen(keys))).findings
    (detail,) = (f.detail for f in found if f.code.name == "FENCED")
    assert detail.endswith("hactl switched it off and cannot switch it on") is said
