"""Drains that the ladder sets and takes back, against an etcd in memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hactl.act.archive import mark
from hactl.act.hour import HOUR
from hactl.decide.plan import DrainArchive, UndrainArchive
from hactl.errors import Refused
from hactl.view.archive import ArchiveMark, ArchiveState, Drain, DrainBy
from hactl.view.parse.archive import drain_text, parse_drain, parse_mark
from tests.support.acting import KEYS, Bench

DRAIN = DrainArchive("arc1", "its index hangs", ("arc2",))
UNDRAIN = UndrainArchive("arc1", "it serves for 30 s")
OPERATORS = drain_text(Drain("arc1", DrainBy.OPERATOR, "new disk"))


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_drain_is_written_with_its_reason_and_counted_for_an_hour(bench: Bench) -> None:
    outcome = bench.did(DRAIN)
    assert outcome.done
    assert "arc2 can take it" in outcome.said
    drain = parse_drain("arc1", bench.etcd.value(KEYS.archive_drain("arc1")))
    assert (drain.by, drain.why, drain.force) == (DrainBy.LADDER, "its index hangs", False)
    assert drain.within == DRAIN.within, "whoever hangs there holds up nobody for long"
    assert drain.since
    budget = bench.etcd.pairs[KEYS.budget("arc1", "drain", "id1")]
    bench.clock.now += HOUR - 1
    assert KEYS.budget("arc1", "drain", "id1") in bench.etcd.pairs
    assert budget.lease


CHANGES: dict[str, Callable[[Bench], None]] = {
    "it is drained already": lambda b: b.etcd.put(KEYS.archive_drain("arc1"), OPERATORS),
    "the other one was drained meanwhile": lambda b: b.etcd.put(KEYS.archive_drain("arc2"), "{}"),
    "somebody paused": lambda b: b.etcd.put(KEYS.paused, "{}"),
    "another controller is active": lambda b: b.etcd.put(KEYS.controller, "{}"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_has_changed_meanwhile_keeps_a_node_in(bench: Bench, change: Callable[[Bench], None]) -> None:
    change(bench)
    assert bench.refused(DRAIN)


def test_the_ladder_takes_its_own_drain_back(bench: Bench) -> None:
    assert bench.did(UNDRAIN).said == "arc1 is not drained"
    bench.did(DRAIN)
    bench.did(UNDRAIN)
    assert KEYS.archive_drain("arc1") not in bench.etcd.pairs


@pytest.mark.parametrize("value", [OPERATORS, "?"])
def test_nobody_elses_drain_is_taken_back(bench: Bench, value: str) -> None:
    bench.etcd.put(KEYS.archive_drain("arc1"), value)
    assert "operator" in bench.refused(UNDRAIN)


def test_a_pause_keeps_a_drain_too(bench: Bench) -> None:
    bench.did(DRAIN)
    bench.etcd.put(KEYS.paused, "{}")
    assert bench.refused(UNDRAIN)


def test_a_state_is_kept_for_the_next_controller(bench: Bench) -> None:
    found = ArchiveMark(ArchiveState.FAILED, "L2", "drain", "2026-11-22T12:00:00+00:00")
    mark({"arc1": found}, bench.hands)
    assert parse_mark(bench.etcd.value(KEYS.archive_state("arc1"))) == found
    bench.etcd.put(KEYS.controller, "{}")
    with pytest.raises(Refused):
        mark({"arc1": ArchiveMark(ArchiveState.HEALTHY)}, bench.hands)
