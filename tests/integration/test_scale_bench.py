"""The scale benchmark with ten nodes for some seconds: that it still measures, not what."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BAD = {"arc2", "arc4", "arc6", "arc8"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], str]:
    """The record, and what was printed."""
    out = tmp_path_factory.mktemp("scale") / "scale.jsonl"
    argv = [sys.executable, "-m", "tests.bench", "scale", "--nodes", "10", "--faulty", "5"]
    argv += ["--warm", "14", "--seconds", "6", "--out", str(out)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"it needs root, a network namespace and etcd-server:\n{done.stderr[-3000:]}"
    return json.loads(out.read_text()), done.stdout


def test_every_node_is_asked_and_those_that_misbehave_are_found(
    measured: tuple[dict[str, object], str],
) -> None:
    record, _ = measured
    assert (record["nodes"], record["faulty"], record["slow"]) == (10, 4, 1)
    assert record["not_found"] == []
    # A machine that is busy may be late with a node that is slow on purpose; nothing else may go wrong.
    assert set(record["wronged"]) <= {"arc10"}  # type: ignore[call-overload]
    assert record["cycle_http"]
    assert record["cycle_dicom"]
    assert record["scrapes_lost"] == 0


def test_it_says_what_it_cost(measured: tuple[dict[str, object], str]) -> None:
    record, text = measured
    assert all(name in record for name in ("cores", "rss_mib", "threads", "files", "series", "scrape"))
    assert text.startswith("| nodes (misbehaving) |")
    assert "* memory: " in text
