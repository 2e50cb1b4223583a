from __future__ import annotations

import re
from pathlib import Path

import pytest

from hactl.decide.drill import FAULTS, SWITCHOVER
from hactl.drill.scenarios import ALL, PLANNED, SCENARIOS, Role, find, for_real, others, struck
from hactl.errors import UsageError
from hactl.lab.faults import fault
from tests.acceptance.conftest import CORE

WITNESS = ("power-off", "isolate", "freeze", "kill-controller")
BOTH = ["primary/isolate", "standby/isolate"]
STATUS = {
    "nodes": [{"name": "db1", "roles": ["database"]}, {"name": "wit1", "roles": ["witness"]}],
    "archive": {"vip": {"holder": "arc2"}},
    "etcd": {"leader": "db2"},
    "controller": {"active": "wit1"},
}


def test_every_scenario_has_a_name_of_its_own_and_a_fault_that_the_lab_can_heal() -> None:
    assert len({s.name for s in SCENARIOS}) == len(SCENARIOS)
    for scenario in SCENARIOS:
        assert all(fault(kind) for kind in scenario.besides)
        assert fault(scenario.fault, scenario.word)
    assert set(FAULTS) == {s.fault for s in ALL if for_real(s)}
    assert [s.fault for s in PLANNED] == [SWITCHOVER]
    assert {s.role for s in SCENARIOS} == set(Role)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        pytest.param(["primary/freeze"], ["primary/freeze"], id="by its name"),
        pytest.param(["crash-postgres"], ["primary/crash-postgres"], id="a fault alone strikes the primary"),
        pytest.param(["kill-orthanc"], ["archive/kill-orthanc"], id="or whoever it can strike"),
        pytest.param(["witness/*"], [f"witness/{f}" for f in WITNESS], id="all of a role"),
        pytest.param(["standby/isolate", "primary/isolate"], BOTH, id="in the table's order"),
    ],
)  # fmt: skip
def test_finding(asked: list[str], meant: list[str]) -> None:
    assert [s.name for s in find(asked)] == meant


def test_a_scenario_that_there_is_not() -> None:
    with pytest.raises(UsageError, match="no scenario 'nonsense'"):
        find(["primary/freeze", "nonsense"])


@pytest.mark.parametrize(
    ("role", "node"),
    [
        (Role.PRIMARY, "db2"),
        (Role.STANDBY, "db1"),
        (Role.WITNESS, "wit1"),
        (Role.ARCHIVE, "arc2"),
        (Role.ETCD, "db2"),
        (Role.CONTROLLER, "wit1"),
    ],
)
def test_who_is_struck(role: Role, node: str) -> None:
    assert struck(role, STATUS, "db2", ("db1", "db2")) == node


def test_nobody_is_struck_where_nobody_has_the_role() -> None:
    assert struck(Role.WITNESS, {"nodes": []}, "db1", ("db1", "db2")) == ""
    assert struck(Role.ARCHIVE, {}, "db1", ("db1", "db2")) == ""
    assert struck(Role.ETCD, {"etcd": {"leader": None}}, "db1", ("db1", "db2")) == ""
    assert struck(Role.CONTROLLER, {}, "db1", ("db1", "db2")) == ""


def test_a_name_says_all_of_its_faults_and_their_number() -> None:
    names = {s.name for s in SCENARIOS}
    assert {"primary/lead-etcd+power-off", "primary/loss-10", "primary/cut"} <= names
    assert find(["power-off"])[0].besides == ()


def test_what_it_is_judged_by_names_the_nodes() -> None:
    asked = SCENARIOS[0].asked("db1", "db2")
    assert {"open-incident db1", "prime-standby db2", "move-etcd-leader"} <= set(asked.acts or ())
    assert not any("{" in act for s in SCENARIOS for act in s.asked("a", "b").acts or ())
    assert asked.failovers == (1, 1)
    assert others(("db1", "db2"), "db2") == "db1"


def test_the_page_of_faults_names_every_scenario_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    roles = "|".join(Role)
    named = set(re.findall(rf"`((?:{roles})/[a-z0-9+-]+)`", page))
    assert named == {s.name for s in SCENARIOS}


def test_the_core_set_names_tests_that_there_are() -> None:
    folder = Path(__file__).parents[1] / "acceptance"
    text = "".join(path.read_text(encoding="utf-8") for path in folder.glob("test_*.py"))
    missing = [name for name in CORE if f"def {name}(" not in text]
    assert missing == []
