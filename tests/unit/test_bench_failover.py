"""The failover matrix's arithmetic: what is scheduled, how runs become tables and a plot."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from hactl.drill.history import Row
from hactl.drill.session import Session
from hactl.errors import StepFailed
from tests.bench import failover, failover_report, failover_run
from tests.bench.failover_cases import BUDGETS, CASES, PLAN, VARIANTS
from tests.bench.failover_plot import LEFT, Strip, place, svg
from tests.bench.failover_report import BEGIN, END, phases, table


def record(case: str, variant: str, seconds: float | None, **more: object) -> dict[str, object]:
    kept = {"case": case, "variant": variant, "seconds": seconds, "rejoin": 4.0, "lost": 0, "dual": 0}
    return {**kept, "findings": [], **more}


def test_the_plan_covers_every_budget_and_every_case_alone() -> None:
    assert set(BUDGETS) <= set(PLAN)
    assert {(case, "stopped") for case in CASES} | {(case, "defaults") for case in CASES} <= set(PLAN)


def test_the_same_seed_gives_the_same_order_and_each_cell_its_runs() -> None:
    asked = failover.arguments(["--runs", "2", "--case", "crash", "--variant", "bmc", "--variant", "stopped"])
    one = failover.schedule(asked, random.Random(3))  # noqa: S311
    assert one == failover.schedule(asked, random.Random(3))  # noqa: S311
    assert sorted(one) == [("crash", "bmc")] * 2 + [("crash", "stopped")] * 2


def test_each_round_has_every_cell_once_and_patroni_alone_in_some() -> None:
    asked = failover.arguments(["--runs", "3", "--alone-every", "2", "--case", "crash"])
    order = failover.schedule(asked, random.Random(3))  # noqa: S311
    assert [sorted(v for _, v in part) for part in (order[:3], order[3:4], order[4:])] == [
        ["bmc", "defaults", "stopped"],
        ["bmc"],
        ["bmc", "defaults", "stopped"],
    ]


def test_a_lab_of_profile_fast_is_for_that_profile_only() -> None:
    asked = failover.arguments(["--runs", "1"])
    order = failover.schedule(asked, random.Random(3), fast=True)  # noqa: S311
    assert sorted(order) == [("freeze", "fast"), ("host-loss", "fast"), ("isolate", "fast")]
    assert "fast" not in {variant for _, variant in failover.schedule(asked, random.Random(3))}  # noqa: S311


def test_the_table_has_a_row_for_each_cell_and_says_what_never_came_back() -> None:
    records = [
        record("crash", "bmc", 1.5),
        record("crash", "bmc", 2.5),
        record("freeze-postgres", "stopped", None, rejoin=None),
        {"case": "isolate", "variant": "bmc", "error": "the lab fell over"},
    ]
    lines = table(records).splitlines()[2:]
    assert lines[0].startswith(
        f"| {CASES['crash'].what} | {VARIANTS['bmc'].what} | 2.00 | 1.50 to 2.50 | 2 |"
    )
    assert "| not within 45 |" in lines[1]
    assert "| never |" in lines[1]
    assert len(lines) == 2


def test_phases_are_medians_over_the_runs_that_have_them() -> None:
    runs = [
        record("host-loss", "bmc", 2.0, incident={"phases": {"suspected": t, "promoted": 2 * t}})
        for t in (1.0, 1.2, 1.4)
    ]
    said = phases([*runs, record("host-loss", "stopped", 24.0)])
    assert "| suspected | promoted |" in said
    assert "| 1.20 | 2.40 |" in said
    assert phases([record("host-loss", "stopped", 24.0)]) == ""


def test_publishing_replaces_what_is_between_the_marks(tmp_path: Path) -> None:
    (tmp_path / "img").mkdir()
    page, raw = tmp_path / "benchmarks.md", tmp_path / "raw.jsonl"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    runs = [record("crash", "bmc", 1.5), {"case": "isolate", "variant": "bmc", "error": "gone"}]
    raw.write_text("".join(json.dumps(r) + "\n" for r in runs))
    for _ in range(2):
        failover_report.publish(raw, tmp_path)
    said = page.read_text()
    assert said.startswith("before\n")
    assert said.endswith("after\n")
    assert "old" not in said
    assert said.count("| 1.50 |") == 1
    assert "NOT MEASURED: gone" in said
    assert (tmp_path / "benchmarks-failover.jsonl").read_text() == raw.read_text()


def test_the_plot_is_xml_with_a_dot_a_run_and_escapes_names() -> None:
    strips = [Strip("a < b", "hactl & co", (1.0, 2.0, 2.5), 2.0), Strip("a < b", "alone", ())]
    tree = ET.fromstring(svg(strips))  # noqa: S314 - our own text
    space = {"s": "http://www.w3.org/2000/svg"}
    assert len(tree.findall("s:circle", space)) == 3
    assert "never" in [t.text for t in tree.findall("s:text", space)]


def test_the_axis_is_logarithmic_and_ends_where_it_ends() -> None:
    assert place(0.1) == LEFT
    assert place(1.0) - place(0.1) == pytest.approx(place(10.0) - place(1.0))
    assert place(5000.0) == place(100.0)


def test_a_run_on_one_line() -> None:
    assert failover_report.line(record("crash", "bmc", 1.234)) == "crash bmc: 1.23 s, standby again 4.0 s"
    assert "NOT MEASURED: gone" in failover_report.line({"case": "crash", "variant": "bmc", "error": "gone"})


class Away:
    """A session of which one node does not answer."""

    run = "r"

    @property
    def ground(self) -> Away:
        return self

    databases = ("db1", "db2")

    def tables(self) -> dict[str, list[Row]]:
        raise StepFailed("db1 is starting up")

    def stored(self, node: str, run: str) -> list[Row]:
        if node == "db1":
            raise StepFailed("db1 is starting up")
        return [Row(run, 1, 1)]


def test_rows_are_judged_where_they_can_be_read() -> None:
    assert failover_run.stored(cast("Session", Away())) == ({"db2": [Row("r", 1, 1)]}, ["db1"])
