"""A frozen postmaster and a starved one: both miss commits, and only one of them is stopped."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.decide.budgets import MISSES
from hactl.decide.grey import PATIENT, SILENT, GreyMemory, decide_grey
from hactl.decide.plan import Plan
from hactl.units import Lsn
from hactl.view.control import ControlView, Heartbeat, NewLocal
from hactl.view.model import Unknown
from tests.support.keysview import ILL, KeysChange, at_second, facts_of, postgres_of, well
from tests.support.views import after, demo_spec

SPEC, WELL, KEYS = demo_spec(), after(), well()
HEALED = NewLocal(0, 0.3)
FROZEN = NewLocal(SILENT, 3.0)


class Second(NamedTuple):
    """What is seen for a second: a commit missed or not, the node's own looks, new WAL or none."""

    missed: bool
    forks: NewLocal | Unknown
    writes: bool = True
    more: KeysChange | None = None


def run(seconds: Iterable[Second]) -> list[Plan]:
    plans, memory, misses, lsn = [], GreyMemory(), 0, 0x3000000
    for now, second in enumerate(seconds):
        misses = misses + 1 if second.missed else 0
        lsn += 8 if second.writes else 0
        dcs = postgres_of("db1", lsn=Lsn(lsn))(facts_of("db1", forks=second.forks)(KEYS))
        dcs = second.more(dcs) if second.more else dcs
        beat = Heartbeat(misses, 0.0, "db1", why="no answer within 1 s", reached=True)
        control = ControlView("wit1", True, at_second(dcs, now), float(now), heartbeat=beat)
        plan, memory = decide_grey(SPEC, control, WELL, memory, float(now))
        plans.append(plan)
    return plans


def stops(plans: list[Plan]) -> list[int]:
    """The seconds in which the primary is ordered to stop."""
    return [second for second, plan in enumerate(plans) if plan.steps]


THIRD = MISSES - 1
ROWS = [
    pytest.param([Second(True, FROZEN)] * 3, [THIRD], id="silent here and there: with the third commit"),
    pytest.param([Second(True, FROZEN, writes=True)] * 3, [THIRD], id="its sessions going on is no excuse"),
    pytest.param([Second(True, Unknown("no such file"))] * 3, [THIRD], id="not known: the commits decide"),
    pytest.param([Second(True, HEALED)] * 60, [], id="late commits, answered connections, WAL goes on"),
    pytest.param([Second(True, NewLocal(SILENT - 1, 2.4))] * 14, [], id="a starved one answers late"),
    pytest.param([Second(False, FROZEN)] * 30, [], id="commits come through: who cares for the rest"),
    pytest.param(
        [Second(True, HEALED)] * 5 + [Second(True, FROZEN)], [5], id="once it is silent no more patience"
    ),
    pytest.param(
        [Second(True, HEALED, writes=False)] * 20, [PATIENT], id="nothing is committed at all: 15 seconds"
    ),
    pytest.param(
        [Second(True, HEALED)] * 20 + [Second(True, HEALED, writes=False)] * 20, [19 + PATIENT],
        id="a lock on the heartbeat's row alone is none, until WAL stands still as well",
    ),
    pytest.param(
        [Second(False, HEALED, writes=False)] * 60 + [Second(True, HEALED, writes=False)] * 20,
        [60 + PATIENT - 1], id="WAL that has stood still before, nobody wrote: 15 commits all the same",
    ),
    pytest.param(
        [Second(True, HEALED, writes=False, more=facts_of("db1", canary=ILL))] * 3, [2],
        id="a dead disk is known by its canary, whoever answers",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("seconds", "want"), ROWS)
def test_the_heartbeat_needs_the_nodes_own_word(seconds: list[Second], want: list[int]) -> None:
    assert stops(run(seconds)) == want


def test_why_nothing_is_done_is_said() -> None:
    plan = run([Second(True, HEALED)] * 4)[-1]
    assert [v.code for v in plan.vetoes] == ["STILL_ANSWERS"]
    assert not plan.alarms, "health says HEARTBEAT_FAILING anyway"


def test_a_position_that_is_not_told_does_not_move() -> None:
    """The agent's own session hangs with all the others."""
    hangs = facts_of("db1", postgres=Unknown("no answer within 1.5 s"))
    assert stops(run([Second(True, HEALED, more=hangs)] * 20)) == [PATIENT]


forks = st.one_of(
    st.just(Unknown("not looked yet")), st.builds(NewLocal, st.integers(0, SILENT + 3), st.just(1.0))
)
seconds = st.builds(Second, st.booleans(), forks, st.booleans())


@given(st.lists(seconds, max_size=60))
def test_no_primary_is_stopped_that_answers_and_writes(course: list[Second]) -> None:
    for at in stops(run(course)):
        assert at + 1 >= MISSES
        assert all(s.missed for s in course[at + 1 - MISSES : at + 1])
        now = course[at].forks
        if isinstance(now, NewLocal) and now.misses < SILENT:
            assert all(s.missed for s in course[at + 1 - PATIENT : at + 1])
            assert at + 1 >= PATIENT
            assert not any(s.writes for s in course[at + 1 - PATIENT : at + 1])


@given(st.lists(seconds, max_size=30), st.booleans())
def test_a_frozen_one_is_stopped_whatever_was_before(course: list[Second], writes: bool) -> None:  # noqa: FBT001
    frozen = [Second(True, FROZEN, writes)] * MISSES
    plans = run([*course, *frozen])
    assert any(at >= len(course) - 30 for at in stops(plans)), "now, or so lately that the order has its time"
    if not stops(plans[: len(course)]):
        [at] = stops(plans)
        assert at < len(course) + MISSES


@given(st.lists(seconds, max_size=20))
def test_one_that_commits_nothing_is_stopped_in_the_end(course: list[Second]) -> None:
    still = dataclasses.replace(FROZEN, misses=0)
    assert stops(run([*course, *[Second(True, still, writes=False)] * (PATIENT + 1)]))
