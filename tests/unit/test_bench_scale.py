"""What the scale benchmark makes of its raw figures."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.bench import scale_report
from tests.bench.scale_place import BAD, Place
from tests.bench.scale_run import gaps, record, spread


def measured(nodes: int, cores: float) -> dict[str, object]:
    """A record in which only the CPU differs."""
    looks = [
        {"at": at, "cpu": cores * at, "rss_kib": 102_400, "threads": 30, "files": 90, "warm": at == 0,
         "scrape": 0.02, "bytes": 9, "series": nodes * 40, "failed": ["arc1"] if at > 2 else [], "healthy": 7}
        for at in range(0, 10, 2)
    ]  # fmt: skip
    place = Place(Path("/none"), nodes, 1)
    asked = {node: {"http": [1.0, 5.0, 9.0], "dicom": [2.0, 6.0]} for node in place.archives}
    found = record(place, {"looks": looks, "from": 0.0, "to": 10.0}, asked, 10.0)
    return {**scale_report.machine(), **found}


def test_a_silence_at_the_end_counts_as_much_as_one_in_between() -> None:
    window = {"from": 0.0, "to": 20.0}
    assert gaps([{"http": [1.0, 5.0, 9.0, 13.0, 17.0]}], "http", window) == [4.0] * 4
    assert gaps([{"http": [1.0, 5.0]}], "http", window) == [4.0, 15.0]
    assert gaps([{"http": []}], "http", window) == [20.0]


def test_spread() -> None:
    assert spread([]) is None
    assert spread([float(n) for n in range(1, 201)]) == {"p50": 100.0, "p99": 198.0, "max": 200.0}


def test_faults_are_spread_and_each_kind_has_its_turn() -> None:
    faults = Place(Path("/none"), 1000, 100).faults()
    assert len(faults) == 100
    assert set(faults.values()) == BAD | {"slow"}


def test_who_was_called_failed_wrongly_is_said() -> None:
    found = measured(10, 0.1)
    assert found["wronged"] == ["arc1"]
    assert found["not_found"] == [next(iter(Place(Path("/none"), 10, 1).faults()))]


@pytest.mark.parametrize(("cores", "how"), [(0.5, "linear or better"), (1.5, "WORSE THAN LINEAR")])
def test_the_verdict_says_how_the_cost_grows(cores: float, how: str) -> None:
    said = scale_report.verdict([measured(100, 0.1), measured(1000, cores)])
    assert f"CPU: {cores} cores, {'within' if cores < 0.6 else 'OVER'} 0.6" in said
    assert f"CPU from 100 to 1,000 nodes: times {cores / 0.1:.2g}, {how}" in said


def test_published_between_the_marks_with_the_newest_of_each(tmp_path: Path) -> None:
    raw, docs = tmp_path / "scale.jsonl", tmp_path / "docs"
    (docs / "img").mkdir(parents=True)
    records = [measured(10, 0.9), measured(100, 0.1), measured(10, 0.05)]
    raw.write_text("".join(json.dumps(r) + "\n" for r in records))
    page = docs / "benchmarks.md"
    page.write_text(f"before\n{scale_report.BEGIN}\nold\n{scale_report.END}\nafter\n")
    scale_report.publish(raw, docs)
    text = page.read_text()
    assert text.startswith(f"before\n{scale_report.BEGIN}\n\n![curves](img/scale.svg)")
    assert "\n| nodes (misbehaving) |" in text
    assert text.endswith(f"{scale_report.END}\nafter\n")
    assert "| 10 (1) | 0.050 |" in text
    assert "0.900" not in text
    assert ET.fromstring((docs / "img" / "scale.svg").read_text()).tag.endswith("svg")  # noqa: S314 - our own
    assert len((docs / "benchmarks-scale.jsonl").read_text().splitlines()) == 2
