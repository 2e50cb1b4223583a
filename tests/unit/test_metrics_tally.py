"""Counts out of the journal."""

from __future__ import annotations

import dataclasses

import pytest

from hactl.metrics.tally import Tally, reason
from hactl.view.incident import Phase, elapsed
from hactl.view.journal import Record
from tests.support.journals import Writer, closed, failover, incident


def tally(records: list[Record]) -> Tally:
    found = Tally(("db1", "db2"))
    found.add(records)
    return found


def until(phase: Phase) -> list[Record]:
    records = failover().records
    at = next(i for i, r in enumerate(records) if r.data.get("phase") == str(phase))
    return records[: at + 1]


def test_nothing_is_known_before_the_first_record() -> None:
    assert Tally().read() == (None, None, None)


def test_a_failover_counts_with_its_first_commit_and_once() -> None:
    """Before, it may still be withdrawn; all counts begin at zero, so that an increase can be seen."""
    totals, head, last = tally(until(Phase.VIP_UP)).read()
    assert totals is not None
    assert (totals.failovers, totals.fences) == ({"lost": 0, "grey": 0, "asked": 0}, {"db1": 1, "db2": 0})
    assert last is None
    records = closed().records
    totals, head, last = tally(records).read()
    assert totals is not None
    assert totals.failovers == {"lost": 1, "grey": 0, "asked": 0}
    assert head == len(records)
    assert last is not None
    assert last.outcome == "redundant again"
    assert elapsed(last, Phase.PROOF) == pytest.approx(0.9)
    assert elapsed(last, Phase.REDUNDANT) == pytest.approx(60)


def test_another_controller_counts_the_same_from_its_copy() -> None:
    """Record by record as they come, all at once after a start, and again after the spec was read again."""
    records = closed().records
    slowly = Tally(("db1", "db2"))
    for record in records:
        slowly.add([record])
        slowly.add([record])
    assert slowly.read() == tally(records).read()


def test_a_refused_opening_fences_nobody() -> None:
    w = Writer()
    first = failover().records[2]
    w.act("open-incident", 10, 5, ok=False, said="the leader key changed", data=dict(first.data),
          incident="failover-1", epoch=1)  # fmt: skip
    totals, _, last = tally(w.records).read()
    assert totals is not None
    assert totals.fences["db1"] == 0
    assert last is None


def test_recovery_by_rung_and_result() -> None:
    w = Writer()
    w.act("give-order", 0, 900, data={"node": "db2", "verb": "restart", "rung": "restart:patroni.service"})
    w.act("give-order", 2000, 900, ok=False, data={"node": "db2", "verb": "reinit", "rung": "reinit"})
    w.act("give-order", 4000, 900, ok=None, data={"node": "db2", "verb": "start", "rung": ""})
    totals, _, _ = tally(w.records).read()
    assert totals is not None
    assert totals.recovery == {("restart:patroni.service", "done"): 1, ("reinit", "failed"): 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "lost"),
        ({"details": {"grey": "no commit for 3 s"}}, "grey"),
        ({"automatic": False}, "asked"),
    ],
)
def test_reason(change: dict[str, object], expected: str) -> None:
    assert reason(dataclasses.replace(incident(), **change)) == expected  # type: ignore[arg-type]
