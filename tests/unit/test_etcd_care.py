from __future__ import annotations

import pytest

from hactl.decide.etcd_care import Compact, Defragment, Disarm, HandOver, Step, full_of_keys, mending
from hactl.units import Bytes
from hactl.view.model import EtcdAlarm, EtcdStatus, Unknown

FULL = EtcdAlarm("2", "NOSPACE")


def members(leader: str = "wit1", *names: str) -> dict[str, EtcdStatus | Unknown]:
    names = names or ("db1", "db2", "wit1")
    return {n: EtcdStatus(member_id=n, leader_id=leader) for n in names}


def steps(
    found: dict[str, EtcdStatus | Unknown], alarms: list[EtcdAlarm], prefer: tuple[str, ...] = ()
) -> tuple[Step, ...]:
    plan = mending(found, alarms, prefer)
    assert not plan.vetoes
    return plan.steps


def refused(found: dict[str, EtcdStatus | Unknown]) -> dict[str, str]:
    return {v.code: v.why for v in mending(found, [FULL]).vetoes}


def test_the_leader_comes_last_and_leads_no_more_by_then() -> None:
    assert steps(members("wit1"), [], ("db2",)) == (
        Compact(),
        Defragment("db1"),
        Defragment("db2"),
        HandOver("wit1", "db2", "db2"),
        Defragment("wit1"),
    )


def test_a_witness_leads_rather_than_a_database_node() -> None:
    assert HandOver("db1", "wit1", "wit1") in steps(members("db1"), [], ("wit1", "db2"))


def test_a_lone_member_has_nobody_to_hand_over_to() -> None:
    assert steps(members("wit1", "wit1"), []) == (Compact(), Defragment("wit1"))


def test_the_alarm_goes_after_the_space_is_there_and_only_this_one() -> None:
    found = steps(members(), [EtcdAlarm("1", "CORRUPT"), FULL])
    assert found[-1] == Disarm(FULL)
    assert not any(isinstance(s, Disarm) for s in found[:-1])


@pytest.mark.parametrize("state", [Unknown("no answer"), EtcdStatus("db1", "")])
def test_while_a_member_is_not_well_nobody_else_is_kept_busy(state: EtcdStatus | Unknown) -> None:
    found = refused({**members(), "db1": state})
    assert list(found) == ["ETCD_DEGRADED"]
    assert "db1" in found["ETCD_DEGRADED"]


def test_without_a_leader_of_the_spec_nothing_is_done() -> None:
    assert list(refused(members("a stranger"))) == ["ETCD_NO_LEADER"]


def test_when_keys_themselves_fill_it() -> None:
    assert full_of_keys(Bytes(60), 100)
    assert not full_of_keys(Bytes(50), 100)


def test_each_step_reads_as_a_sentence() -> None:
    said = [str(s) for s in steps(members("db1"), [FULL], ("wit1",))]
    assert said[1].startswith("defragment db2")
    assert said[-3] == "hand etcd's leadership from db1 to wit1"
    assert "NOSPACE" in said[-1]
