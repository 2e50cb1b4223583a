"""`hactl drill` as an operator types it: run, judged again, reported; and refused where it must be."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hactl.lab.lab import Lab
from tests.support.labs import Site
from tests.support.violation import Violation

WITHIN = 300.0  # seconds; a drill takes 20, but a busy machine boots and rewinds slowly
BROKE = 7  # exit code: a promise was broken


def hactl(lab: Lab, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hactl", "--spec", str(lab.folder.spec), *words]
    return subprocess.run(argv, capture_output=True, check=False, timeout=WITHIN, encoding="utf-8")


def test_a_drill_is_run_judged_recorded_and_reported(site: Site, tmp_path: Path) -> None:
    done = hactl(site.lab, "-o", "json", "drill", "run", "crash-postgres", "--yes", "--reason", "a test")
    if done.returncode == BROKE:
        raise Violation(done.stderr[-4000:])
    assert done.returncode == 0, done.stderr[-4000:]
    (found,) = json.loads(done.stdout)["drills"]
    assert found["scenario"] == "primary/crash-postgres"
    assert 0 < found["rto_seconds"] < found["rto_limit_seconds"]
    assert found["rpo"]["lost_rows"] == 0
    assert set(found["invariants"].values()) == {"kept", "by test"}
    assert min(found["counts"][name] for name in ("ok", "reads", "looks", "claims")) > 0
    in_the_journal(site.lab, found)
    folder = site.lab.site.state / "drills"
    again = hactl(site.lab, "drill", "judge", str(folder / f"{found['run']}.jsonl"))
    assert again.returncode == 0, again.stdout
    reported(site.lab, found, tmp_path / "report.html")


def in_the_journal(lab: Lab, found: dict[str, Any]) -> None:
    tail = json.loads(hactl(lab, "-o", "json", "journal", "tail", "-n", "30").stdout)
    (kept,) = [r for r in tail if r["action"] == "drill" and r["data"]["run"] == found["run"]]
    assert kept["data"]["invariants"] == found["invariants"]
    assert kept["data"]["rto_seconds"] == found["rto_seconds"]


def reported(lab: Lab, found: dict[str, Any], page: Path) -> None:
    assert hactl(lab, "drill", "report", found["run"], "--out", str(page)).returncode == 0
    text = page.read_text(encoding="utf-8")
    assert "every promise was kept" in text
    assert "http" not in text.replace("http-equiv", "")
    assert json.loads(page.with_suffix(".json").read_text())["drill"] == found


@pytest.mark.parametrize("words", [["run", "primary/power-off"], ["run", "no-such-fault", "--yes"]])
def test_what_is_not_meant_is_not_done(site: Site, words: list[str]) -> None:
    before = site.status()["database"]["timeline"]
    assert hactl(site.lab, "drill", *words).returncode in {2, 3}
    assert site.status()["database"]["timeline"] == before


def test_refused_with_all_reasons_when_redundancy_is_not_full(site: Site) -> None:
    node = next(iter(site.lab.spec.witnesses))
    site.lab.isolate(node)
    site.until("degraded", lambda status: bool(status["verdict"] != "healthy"), 30)
    done = hactl(site.lab, "drill", "run", "primary/power-off", "--yes")
    assert done.returncode == 3, done.stderr
    assert node in done.stderr
