"""The matrix's arithmetic: what a seed draws, what two faults together may cost, what is told of it."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hactl.drill.scenarios import SCENARIOS, Role
from hactl.errors import Unreachable
from hactl.lab.faults import fault
from tests.bench import matrix, matrix_report
from tests.bench.matrix_plan import (
    HEALED,
    TOGETHER,
    Nodes,
    Trial,
    Way,
    drawn,
    expected,
    fits,
    leaves_too_little,
    named,
    recorded,
    singles,
    soak,
)

NODES = Nodes(("db1", "db2"), ("wit1",), ("arc1", "arc2"))
MANY = 400


def pair(first: str, second: str, way: Way = Way.PAIR) -> Trial:
    return Trial(1, way, first, second, gap=3.0)


def test_singles_are_every_scenario_once_in_the_seeds_order() -> None:
    one = singles(3)
    assert one == singles(3) != singles(4)
    assert sorted(t.first for t in one) == sorted(s.name for s in SCENARIOS)
    assert [t.number for t in one] == list(range(1, len(SCENARIOS) + 1))


def test_a_trial_of_a_soak_is_told_by_seed_and_number_alone() -> None:
    found = list(islice(soak(7), MANY))
    assert found[MANY - 1] == drawn(7, MANY)
    assert found != list(islice(soak(8), MANY))
    assert {t.way for t in found} == set(Way)
    assert all(2.0 <= t.gap <= 20.0 for t in found if t.way in {Way.PAIR, Way.REJOIN})
    assert any(t.between < 0 for t in found), "sometimes the second is healed first"


def test_what_has_its_own_course_is_not_paired() -> None:
    for trial in islice(soak(1), MANY):
        if trial.way is not Way.ALONE:
            assert all(fits(named(n)) for n in (trial.first, trial.second) if n)
            assert trial.first != trial.second or trial.way is Way.REJOIN


def test_every_trial_can_be_judged_and_every_fault_made() -> None:
    for trial in islice(soak(2), MANY):
        scenario = expected(trial, NODES)
        asked = scenario.asked("db1", "db2")
        assert not any("{" in act for act in asked.acts or ())
        assert scenario.failovers[0] <= scenario.failovers[1]
        assert "/" in scenario.name
        for one in scenario.faults:
            assert fault(one, "5" if one in {"loss", "narrow"} else "db2" if one == "cut" else "")


def test_alone_it_is_judged_as_hactl_drill_run_does() -> None:
    for trial in singles(1):
        assert expected(trial, NODES) is named(trial.first)


@pytest.mark.parametrize(
    ("first", "second", "too_little"),
    [
        pytest.param("primary/power-off", "standby/power-off", True, id="both copies"),
        pytest.param("standby/stall-disk", "primary/crash-postgres", True, id="no copy that may serve"),
        pytest.param("primary/power-off", "witness/isolate", True, id="no majority"),
        pytest.param("witness/freeze", "etcd/freeze-etcd", True, id="no majority, of etcd alone"),
        pytest.param("standby/crash-postgres", "witness/power-off", False, id="one of each"),
        pytest.param("primary/power-off", "archive/power-off", False, id="another service"),
        pytest.param("primary/power-off", "controller/kill-controller", False, id="nothing of the data"),
    ],
)
def test_what_may_leave_nothing_that_serves(first: str, second: str, *, too_little: bool) -> None:
    assert leaves_too_little(named(first), named(second)) is too_little
    found = expected(pair(first, second), NODES)
    assert (found.away, found.limit) == (too_little, HEALED if too_little else TOGETHER)


def test_a_pair_may_do_for_each_node_what_either_asks_for_and_nothing_else() -> None:
    found = expected(pair("primary/power-off", "archive/kill-orthanc"), NODES)
    acts = set(found.asked("db1", "db2").acts or ())
    assert {"open-incident db1", "open-incident db2", "drain-archive arc1", "drain-archive arc2"} <= acts
    assert found.images
    assert found.failovers == (1, 1), "an archive node's fault prevents no failover of the database"
    quiet = expected(pair("witness/isolate", "controller/kill-controller"), NODES)
    assert not any("incident" in act for act in quiet.asked("db1", "db2").acts or ())
    assert quiet.failovers == (0, 0)


def test_failovers_by_the_way_a_fault_comes() -> None:
    assert expected(pair("primary/freeze", "witness/isolate"), NODES).failovers == (0, 1)
    rejoin = expected(pair("primary/power-off", "primary/crash-postgres", Way.REJOIN), NODES)
    assert rejoin.failovers == (1, 2)
    switch = expected(Trial(1, Way.SWITCHOVER, "standby/power-off", gap=0.5), NODES)
    assert switch.failovers == (0, 1)
    assert "switchover" in (switch.asked("db1", "db2").acts or ())


def test_roles_have_candidates() -> None:
    assert NODES.may_be(Role.ETCD) == NODES.may_be(Role.CONTROLLER) == ("db1", "db2", "wit1")
    assert NODES.may_be(Role.ARCHIVE) == ("arc1", "arc2")


def record(number: int, *, clean: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "kind": "faults", "seed": 1, "number": number, "trial": f"trial {number}", "node": "db1",
        "clean": clean, "rto_seconds": 1.5, "silence_seconds": 1.6, "archive_seconds": None,
        "rpo": {"lost_rows": 0}, "dual": 0, "moves": ["db1 to db2"], "findings": [], "undone": [],
        "counts": {"ok": 100}, "seconds": 20.0, **more,
    }  # fmt: skip


def test_the_table_has_the_newest_run_of_each_trial() -> None:
    broken = record(2, clean=False, findings=["I1: two writers\n    evidence"], dual=1)
    unjudged = {"kind": "faults", "seed": 1, "number": 3, "trial": "trial 3", "error": "no lab"}
    text = matrix_report.table([broken, record(2), record(1), unjudged])
    assert text.count("| kept |") == 2
    assert "BROKEN" not in text
    assert "| NOT JUDGED |" in text
    assert "2 of 3 kept every promise, 1 not judged; 200 commits acknowledged, 0 of them lost" in text
    assert {row.count("|") for row in text.splitlines()[:-2]} == {len(matrix_report.HEAD) + 1}


@pytest.mark.parametrize(
    ("records", "code"),
    [
        pytest.param([record(1)], 0, id="all kept"),
        pytest.param([record(1, clean=False), record(1)], 0, id="kept when it was run again"),
        pytest.param([record(1, clean=False)], 7, id="a promise was broken"),
        pytest.param([{"trial": "1", "error": "no"}], 5, id="not judged"),
        pytest.param(
            [record(1, clean=False), record(1, trial="another one of an older list")],
            7,
            id="the same number is not the same trial",
        ),
    ],
)
def test_exit_code(records: list[dict[str, Any]], code: int) -> None:
    assert matrix_report.code(records) == code


def test_a_series_goes_on_where_it_was(tmp_path: Path) -> None:
    raw = tmp_path / "trials.jsonl"
    raw.write_text(json.dumps(record(1)) + "\n" + '{"kind": "fau')
    assert [r["number"] for r in matrix.records(raw)] == [1]
    assert matrix.records(tmp_path / "none") == []
    asked = matrix.arguments(["--seed", "5"], "faults")
    first, second, *_ = (t.name for t in matrix.singles(5))
    assert next(iter(matrix.chosen(asked, "faults", frozenset({first, second})))).number == 3
    again = matrix.arguments(["--seed", "5", "--again", "--only", "2"], "faults")
    assert [t.number for t in matrix.chosen(again, "faults", frozenset({first, second}))] == [2]


def test_one_trial_of_a_soak_again() -> None:
    asked = matrix.arguments(["--seed", "5", "--only", "30"], "soak")
    assert matrix.chosen(asked, "soak", frozenset()) == [drawn(5, 30)]
    few = matrix.arguments(["--way", "pair", "--count", "3"], "soak")
    assert [t.way for t in matrix.chosen(few, "soak", frozenset())] == [Way.PAIR] * 3


def test_trials_of_a_file_again_as_they_were(tmp_path: Path) -> None:
    """Whatever the seed would draw today."""
    trial = Trial(9, Way.PAIR, "primary/cut", "standby/freeze", 3.5, -1.5)
    parts = {"first": trial.first, "second": trial.second, "gap": trial.gap, "between": trial.between}
    lines = [
        record(9, kind="soak", way="pair", **parts),
        record(2, trial="primary/power-off", way="alone"),  # of a time before the parts were kept
        record(3, kind="soak", way="pair"),
    ]
    raw = tmp_path / "trials.jsonl"
    raw.write_text("".join(json.dumps(r) + "\n" for r in lines[:2]))
    asked = matrix.arguments(["--replay", str(raw)], "soak")
    assert matrix.chosen(asked, "soak", frozenset({trial.name})) == [trial]
    single = Trial(2, Way.ALONE, "primary/power-off")
    assert matrix.chosen(asked, "faults", frozenset()) == [single]
    with pytest.raises(ValueError, match="does not say its parts"):
        recorded(lines[2])
    with pytest.raises(ValueError, match="no scenario 'primary/gone' any more"):
        recorded(record(1, trial="primary/gone", way="alone"))


def test_a_trial_on_one_line_with_its_findings() -> None:
    said = matrix_report.line(record(1, clean=False, findings=["I6: too long"], undone=["not struck"]))
    assert said.splitlines() == [
        "trial 1 on db1: BROKEN, outage 1.50, 20 s in all", "    I6: too long", "    not struck"
    ]  # fmt: skip
    assert "vetoed" in matrix_report.line({"trial": "x", "error": "not fit", "vetoes": ["vetoed"]})


@pytest.mark.parametrize(
    ("why", "heals", "on"),
    [
        pytest.param("no commit", True, True, id="the next one may say something"),
        pytest.param("not fit for a fault within 240 s", True, False, id="the lab is not whole"),
        pytest.param("no commit", False, False, id="a machine does not come up again"),
    ],
)
def test_a_trial_that_says_nothing_is_kept_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str, *, heals: bool, on: bool
) -> None:
    def raises(*_: object) -> None:
        raise Unreachable(why)

    monkeypatch.setattr(matrix, "run", raises)
    monkeypatch.setattr(matrix.faults, "heal", (lambda _: []) if heals else raises)
    asked = matrix.arguments(["--out", str(tmp_path)], "soak")
    nobody: Any = None
    assert matrix._one(nobody, nobody, drawn(1, 1), "soak", asked) is on
    (kept,) = matrix.records(tmp_path / "trials.jsonl")
    assert (kept["error"], kept["number"], kept["seed"]) == (why, 1, 1)
