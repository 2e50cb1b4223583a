"""What hactl costs: the order of the rounds, pgbench's log as figures, control groups, the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench.cost import report, usage
from tests.bench.cost.pgbench import figures, percentile
from tests.bench.cost.series import last_pair, order


def used(cores: float, mib: float = 40.0) -> dict[str, Any]:
    return {"db1": {"hactl-agent": {"cores": cores, "mib": mib}, "etcd": {"cores": 2 * cores, "mib": 0.0}}}


def loaded(pair: int, *, hactl: bool, tps: float) -> dict[str, Any]:
    found = {"kind": "loaded", "pair": pair, "hactl": hactl, "tps": tps, "seconds": 60.0}
    return {**found, "ms": {"p50": 2.0, "p99": 1000 / tps}, "usage": used(0.02) if hactl else {"db1": {}}}


def test_each_pair_has_both_and_its_order_depends_on_its_number_alone() -> None:
    whole = order(8, 3)
    assert [sorted(hactl for p, hactl in whole if p == n) for n in range(1, 9)] == [[False, True]] * 8
    assert order(4, 3, first=5) == whole[8:]
    assert {hactl for _, hactl in whole[::2]} == {False, True}


def test_another_call_goes_on_with_the_next_pair() -> None:
    assert last_pair([]) == 0
    assert last_pair([loaded(3, hactl=True, tps=1.0), {"kind": "idle", "pair": 0}]) == 3


def test_pgbenchs_log_without_its_first_seconds() -> None:
    slow = [f"0 {n} 900000 0 100 {n}" for n in range(50)]
    steady = [f"1 {n} {1000 * (n + 1)} 0 {106 + n // 10} {n}" for n in range(100)]
    found = figures([*steady, *slow])
    assert found["transactions"] == 100
    assert found["ms"] == {"p50": 50.0, "p95": 95.0, "p99": 99.0, "p100": 100.0}
    assert found["tps"] == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize(("part", "value"), [(50, 2.0), (75, 3.0), (99, 4.0), (100, 4.0), (1, 1.0)])
def test_a_percentile_is_one_of_the_values(part: int, value: float) -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0], part) == value


def test_a_control_groups_processor_time(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 17027960\nuser_usec 1\n")
    assert usage.cpu(tmp_path) == pytest.approx(17.02796)
    assert usage.cpu(tmp_path / "gone") == 0.0
    assert usage.memory(tmp_path / "gone") == 0.0


def test_a_unit_that_was_restarted_or_stopped_is_left_out() -> None:
    before = {"db1": {"hactl-agent": (10.0, 40.0), "etcd": (5.0, 0.0), "patroni": (1.0, 0.0)}}
    after = {"db1": {"hactl-agent": (11.0, 42.0), "etcd": (0.5, 0.0)}, "db2": {"etcd": (3.0, 0.0)}}
    found = usage.between(before, after, 50.0)
    assert found == {"db1": {"hactl-agent": {"cores": 0.02, "mib": 42.0}}, "db2": {}}


def test_the_tables_compare_within_a_pair_and_leave_half_pairs_out() -> None:
    records = [
        loaded(1, hactl=True, tps=90.0), loaded(1, hactl=False, tps=100.0),
        loaded(2, hactl=False, tps=200.0), loaded(2, hactl=True, tps=200.0),
        loaded(3, hactl=True, tps=1.0),
        {"kind": "idle", "pair": 0, "hactl": True, "seconds": 120.0, "usage": used(0.01, 44.0)},
    ]  # fmt: skip
    said = report.text(records)
    assert "| transactions a second | 145.0 | 150.0 | -5.0 % (-10.0 to +0.0) | 2 |" in said
    assert "| node | program | CPU, cores, idle (2.0 min) | CPU, cores, loaded (3.0 min) |" in said
    assert "| db1 | hactl-agent | 0.0100 | 0.0200 | 44 |" in said
    assert "| db1 | etcd | 0.0200 | 0.0400 |  |" in said


def test_nothing_measured_is_said() -> None:
    assert report.text([]) == "nothing was measured\n"


def test_publishing_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    page, raw = tmp_path / "benchmarks.md", tmp_path / "raw.jsonl"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    raw.write_text("".join(json.dumps(loaded(1, hactl=on, tps=100.0)) + "\n" for on in (True, False)))
    report.publish(raw, tmp_path)
    assert "| +0.0 % (+0.0 to +0.0) | 1 |" in page.read_text()
    assert (tmp_path / "benchmarks-cost.jsonl").read_text() == raw.read_text()
