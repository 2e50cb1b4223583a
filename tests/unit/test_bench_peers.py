"""The comparison with peers: its order, what is left of a series, pg_auto_failover's settings, the table."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.bench.peers import pgaf_commands, report
from tests.bench.peers.cases import MINIMUMS, NAMES, WAYS, by_monitor, case_of
from tests.bench.peers.series import USUAL, Cell, expected, schedule, undone

FREE = {"nodename": "db1", "health": 1}


def record(case: str, way: str, seconds: float | None, **more: object) -> dict[str, Any]:
    kept = {"case": case, "variant": way, "seconds": seconds, "rejoin": 4.0, "lost": 0, "dual": 0, "both": 0}
    return {**kept, "findings": [], **more}


def test_each_round_has_every_cell_once_and_ways_stay_together() -> None:
    order = schedule(2, 7)
    assert Counter((c.case, c.way) for c in order) == {(case, way): 2 for case in NAMES for way in WAYS}
    first = [c.way for c in order if c.round == 1]
    changes = sum(a != b for a, b in pairwise(first))
    assert changes == len(WAYS) - 1


def test_the_same_seed_gives_the_same_order_and_another_another() -> None:
    assert schedule(5, 7) == schedule(5, 7)
    assert schedule(5, 7) != schedule(5, 8)


def test_a_part_of_a_series_keeps_the_whole_ones_order() -> None:
    whole = [c for c in schedule(3, 7) if c.way == "bmc" and c.case in {"crash", "freeze"}]
    assert schedule(3, 7, cases=["freeze", "crash"], ways=["bmc"]) == whole


def test_more_rounds_do_not_change_the_first_ones() -> None:
    assert schedule(5, 7)[: len(NAMES) * len(WAYS)] == schedule(1, 7)


def test_a_series_goes_on_where_it_ended() -> None:
    order = schedule(1, 7)
    done = [
        {"seed": 7, "cell": order[0].key},
        {"seed": 7, "cell": order[1].key, "error": "the lab fell over"},
        {"seed": 8, "cell": order[2].key},
    ]
    assert undone(order, done, 7) == order[1:]


def test_a_run_is_expected_to_take_what_it_took_before() -> None:
    cell = Cell(2, "crash", "bmc")
    took = [{"case": "crash", "variant": "bmc", "took": t} for t in (20.0, 31.0)]
    assert expected(cell, took) == 31.0
    assert expected(cell, [{"case": "crash", "variant": "no-bmc", "took": 20.0}]) == USUAL


def test_every_way_has_every_case() -> None:
    for way in WAYS:
        assert [case_of(case, way).name for case in NAMES] == list(NAMES)
    assert {way for way in WAYS if by_monitor(way)} == {"pgaf-tuned", "pgaf-defaults"}


def test_with_pg_auto_failover_the_vote_is_the_monitor() -> None:
    assert case_of("vote-lost", "bmc").before is not None
    monitor = case_of("vote-lost", "pgaf-tuned")
    assert monitor.before is None
    assert monitor.act is not case_of("vote-lost", "bmc").act


def test_patronis_minimums_are_not_below_what_it_takes() -> None:
    assert MINIMUMS["ttl"] >= 20
    assert MINIMUMS["loop_wait"] + 2 * MINIMUMS["retry_timeout"] <= MINIMUMS["ttl"]


def test_an_isolated_primary_stops_before_its_standby_may_be_promoted() -> None:
    demote = pgaf_commands.TUNED["primary_demote_timeout"] / 1000
    assert pgaf_commands.PARTITION["tuned"] < demote


def test_tuning_sets_and_resets_the_same() -> None:
    tuned, usual = pgaf_commands.tune("tuned"), pgaf_commands.tune("defaults")
    assert "alter system set pgautofailover.health_check_period = 1000" in tuned
    assert "alter system reset pgautofailover.health_check_period" in usual
    assert len(tuned) == len(usual)
    assert pgaf_commands.partition("defaults")[-1] == "20"


def test_who_may_log_in() -> None:
    said = pgaf_commands.hba({"db1": "192.0.2.11", "db2": "192.0.2.12"}, "192.0.2.13").splitlines()
    assert "hostssl hactl hactl_probe all scram-sha-256" in said
    assert [line for line in said if " all " in line.partition("hostssl")[2] and "trust" in line] == [
        "hostssl all pgautofailover_monitor 192.0.2.13/32 trust"
    ]


@pytest.mark.parametrize(
    ("states", "said"),
    [
        ([("primary", "primary"), ("secondary", "secondary")], ""),
        (
            [("wait_primary", "primary"), ("secondary", "secondary")],
            "states secondary>secondary wait_primary>primary, unhealthy: none",
        ),
        ([("single", "single")], "states single>single, unhealthy: none"),
    ],
    ids=["whole", "on its way", "alone"],
)
def test_whether_the_pair_is_whole(states: list[tuple[str, str]], said: str) -> None:
    told = [{**FREE, "current_group_state": a, "assigned_group_state": b} for a, b in states]
    assert pgaf_commands.lacking(json.dumps(told)) == said


def test_a_node_that_the_monitor_cannot_reach_is_named() -> None:
    states = [("primary", 1), ("secondary", 0)]
    told = [
        {"nodename": n, "health": h, "current_group_state": n, "assigned_group_state": n} for n, h in states
    ]
    assert pgaf_commands.lacking(json.dumps(told)).endswith("unhealthy: secondary")


def test_the_table_has_every_cell_and_says_what_was_not_run() -> None:
    records = [
        record("crash", "bmc", 1.5, lost=1, both=2, dual=3),
        record("crash", "bmc", 2.5),
        record("host-loss", "bmc", 1.0, rejoin=9.0),
        {"case": "freeze", "variant": "bmc", "error": "the lab fell over"},
    ]
    lines = report.table(records).splitlines()[2:]
    assert len(lines) == (len(NAMES) + 1) * len(WAYS)
    assert sum("| not run | | 0 |" in line for line in lines) == len(lines) - 3
    assert "| postmaster killed | hactl, BMC | 2.00 | 2.50 | 2 | 1 | 2 / 3 |" in lines
    assert f"| {report.REJOIN_WHAT} | hactl, BMC | 9.00 | 9.00 | 1 | 0 | 0 / 0 |" in lines


def test_what_never_came_back_is_said_with_its_limit() -> None:
    records = [record("vote-lost", "pgaf-tuned", None, rejoin=None), record("vote-lost", "pgaf-tuned", 3.0)]
    mine = report.of(records, "vote-lost", "pgaf-tuned")
    assert "| 3.00 | 3.00 | 2 (1 not within 60) |" in report.row(mine, "vote-lost", "pgaf-tuned")
    assert "| not within 60 |" in report.row(mine[:1], "vote-lost", "pgaf-tuned")


def test_broken_promises_are_counted_by_cell() -> None:
    told = "I1: db2 (timeline 2, started 03:24:12.28+00) and db1 (timeline 3, started x) were both writable"
    runs = [record("freeze", "pgaf-tuned", 9.0, findings=f) for f in ([told], [], [told, "I5: 17 reads"])]
    assert list(report.findings(runs)) == [
        "* primary's host frozen; pg_auto_failover, tuned: I1 in 2 of 3: db2 and db1 were both writable",
        "* primary's host frozen; pg_auto_failover, tuned: I5 in 1 of 3: 17 reads",
    ]


def test_a_node_that_did_not_come_back_is_said() -> None:
    runs = [record("crash", "bmc", 1.5, rejoin=None), record("crash", "bmc", 1.5)]
    said = "* postmaster killed; hactl, BMC: no synchronous standby again within 180 s in 1 of 2"
    assert list(report.findings(runs)) == [said]


def test_publishing_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    page, raw = tmp_path / "benchmarks.md", tmp_path / "raw.jsonl"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    runs = [
        record("crash", "bmc", 1.5, versions={"postgres": "postgres 15"}, findings=["I1: two"]),
        {"case": "isolate", "variant": "bmc", "error": "gone"},
    ]
    raw.write_text("".join(json.dumps(r) + "\n" for r in runs))
    report.publish(raw, tmp_path)
    said = page.read_text()
    assert "old" not in said
    assert "NOT MEASURED: gone" in said
    assert "I1 in 1 of 1: two" in said
    assert "Versions: postgres 15." in said
    drawn = ET.fromstring((tmp_path / "img" / "peers.svg").read_text())  # noqa: S314 - our own text
    assert len(drawn.findall("{http://www.w3.org/2000/svg}circle")) == 1
    assert (tmp_path / "benchmarks-peers.jsonl").read_text() == raw.read_text()
