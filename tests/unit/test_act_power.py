"""Switching on again, against an etcd in memory: what allows it, what forbids it, what is kept for others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hactl.decide.plan import Mark, PowerOn, RunFenceAgent
from hactl.view.control import FenceIntent
from hactl.view.control_text import fence_text, parse_incident
from hactl.view.incident import Incident, Phase
from tests.support.acting import KEYS, Bench

ON = PowerOn("db1", 1)
ASKED = ("on", "db1", 1, True)


@pytest.fixture
def bench() -> Bench:
    """The service is back; the victim was switched off and is fenced."""
    bench = Bench()
    bench.opened()
    bench.did(Mark("failover-1", Phase.PROOF, "db1", "power is off", switched_off=True))
    bench.did(Mark("failover-1", Phase.FIRST_COMMIT, "db2"))
    bench.calls.clear()
    return bench


def kept(bench: Bench) -> Incident:
    return parse_incident(bench.etcd.value(KEYS.incident) or "")


def test_it_is_counted_in_the_incident_and_started(bench: Bench) -> None:
    bench.did(ON)
    assert bench.calls == [ASKED]
    assert (kept(bench).switched_off, kept(bench).power_tries) == (True, 1)
    assert bench.etcd.value(KEYS.fence("db1")), "it boots fenced"


def test_intent_and_result_are_in_the_journal(bench: Bench) -> None:
    bench.book.lines.clear()
    bench.did(ON)
    before, after = bench.book.lines
    assert (before[:2], after[0], after[2]) == (("intent", "power-on"), "result", True)


def _pause(bench: Bench) -> None:
    bench.etcd.put(KEYS.paused, "{}")


def _drop_fence(bench: Bench) -> None:
    bench.etcd.delete(KEYS.fence("db1"))


def _fence_anew(bench: Bench) -> None:
    bench.etcd.put(KEYS.fence("db1"), fence_text(FenceIntent("db1", 2, "failover-2", "wit1", bench.leader)))


def _drop_incident(bench: Bench) -> None:
    bench.etcd.delete(KEYS.incident)


def _replaced(bench: Bench) -> None:
    bench.etcd.put(KEYS.controller, "{}")


def _lost(bench: Bench) -> None:
    bench.claim = None


def _is_on(bench: Bench) -> None:
    bench.did(Mark("failover-1", Phase.POWERED_ON, "db1"))


def _tried_twice(bench: Bench) -> None:
    bench.did(ON)
    bench.did(ON)
    bench.calls.clear()


@pytest.mark.parametrize(
    "change",
    [_pause, _drop_fence, _fence_anew, _drop_incident, _replaced, _lost, _is_on, _tried_twice],
    ids=[
        "somebody paused", "the fence is gone", "the fence is another epoch's", "the incident is closed",
        "another controller is active", "the lease is not sure", "it was done", "it was tried twice",
    ],
)  # fmt: skip
def test_nothing_is_switched_on_when(bench: Bench, change: Callable[[Bench], None]) -> None:
    change(bench)
    bench.refused(ON)
    assert bench.calls == []


def test_nothing_is_switched_on_before_the_first_commit() -> None:
    bench = Bench()
    bench.opened()
    assert "no commit" in bench.refused(ON)


def test_a_pause_between_look_and_act_forbids_it(bench: Bench) -> None:
    bench.etcd.before_txn = lambda: _pause(bench)
    (outcome,) = bench.do(ON)
    assert (outcome.done, bench.calls, kept(bench).power_tries) == (False, [], 0)


def test_the_first_commit_ends_what_may_still_switch_the_victim_off() -> None:
    bench = Bench()
    bench.opened()
    bench.did(RunFenceAgent("db1", 1, bench.clock.now + 1))
    bench.did(Mark("failover-1", Phase.VIP_UP, "db2"))
    assert ("call off", "db1") not in bench.calls
    bench.did(Mark("failover-1", Phase.FIRST_COMMIT, "db2"))
    assert bench.calls[-1] == ("call off", "db1")


def test_who_switched_it_off_stays_known_with_all_later_marks(bench: Bench) -> None:
    bench.did(Mark("failover-1", Phase.REDUNDANT, "db2"))
    assert kept(bench).switched_off
