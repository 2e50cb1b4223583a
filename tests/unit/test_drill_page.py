"""The record and the report of a drill: golden files, written anew by `pytest --write-golden`."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hactl.drill.chart import availability, phase_bars
from hactl.drill.checker import judged
from hactl.drill.course import WHOLE
from hactl.drill.history import Journaled, Mark, Pictures, Table
from hactl.drill.page import page
from hactl.drill.record import BUCKET, brief, record, said
from hactl.drill.scenarios import SCENARIOS
from hactl.drill.stopped import stopped
from hactl.view.journal import MAX_DATA, canonical
from tests.support.drills import DB1, DB2, Forge, whole

GOLDEN = Path(__file__).parents[1] / "golden" / "drill"
ABOUT = {
    "run": "primary-power-off-20261122T080000", "cluster": "demo", "node": "db1", "spec_digest": "ab" * 32,
    "hactl": "0.1.0", "started": "2026-11-22T08:00:00+00:00", "actor": "anna from 192.0.2.50",
    "reason": "quarterly <drill>", "lab": True,
}  # fmt: skip
PHASES = [
    {"phase": "suspected", "node": "wit1", "since_ms": 0, "exact": True},
    {"phase": "proof", "node": "db1", "since_ms": 900, "exact": True},
    {"phase": "first-commit", "node": "db2", "since_ms": 1700, "exact": False},
    {"phase": "redundancy-restored", "node": "db1", "since_ms": 60000, "exact": False},
]
INCIDENT = {"id": "failover-1", "result": "redundant again", "phases": PHASES, "lost_commits": {"commits": 0}}


def made(forge: Forge | None = None, *, incident: dict[str, Any] | None = INCIDENT) -> dict[str, Any]:
    events = (forge or whole()).kept()
    return record(SCENARIOS[0], judged(events), events, ABOUT, incident)


def lossy() -> dict[str, Any]:
    forge = whole()
    forge.rows.pop(2)
    return {**made(forge), "run": "earlier", "started": "2026-08-01T08:00:00+00:00"}


def aborted(forge: Forge | None = None) -> dict[str, Any]:
    events = [e for e in (forge or whole()).kept() if not isinstance(e, Table | Pictures | Journaled)]
    about = {**ABOUT, "run": "stopped", "started": "2026-09-01T08:00:00+00:00"}
    return stopped(SCENARIOS[0], events, about, "not within 240 s: redundancy is full")


@pytest.mark.parametrize("name", ["kept", "broken", "aborted"])
def test_the_page_as_before(name: str, request: pytest.FixtureRequest) -> None:
    found = {"kept": made, "broken": lossy, "aborted": aborted}[name]()
    path, text = GOLDEN / f"{name}.html", page(found, [lossy(), aborted(), made()])
    if request.config.getoption("--write-golden"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_a_record_says_what_was_measured_and_proved() -> None:
    found = made()
    assert found["clean"]
    assert found["rto_seconds"] == pytest.approx(1.43, abs=0.01)
    assert found["rpo"] == {"lost_rows": 0, "lost_commits": {"commits": 0}}
    assert found["staleness_ms"] == 0
    kept = dict.fromkeys(("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I10"), "kept")
    assert found["invariants"] == {**kept, "I9": "by test"}
    assert sum(found["timeline"]["writes"]) == found["counts"]["ok"] - found["counts"]["inside"] > 0
    assert json.loads(json.dumps(found)) == found


def test_without_an_incident_there_are_the_phases_that_clients_saw() -> None:
    forge = whole()
    forge.events.append(Mark(forge.now, forge.now, "note", "", WHOLE))
    found = made(forge, incident=None)
    seen = [(s["phase"], s["node"], s["exact"]) for s in found["course"]]
    assert seen == [
        ("injected", "db1", True), ("served-again", "db2", True), ("healed", "db1", True),
        ("redundancy-restored", "", False),
    ]  # fmt: skip
    assert found["course"][1]["since_ms"] == pytest.approx(1000 * found["rto_seconds"], abs=1)
    text = page(found, [found])
    assert "Phases as clients saw them" in text
    assert "served-again" in text
    assert "Phases as clients saw them" not in page(made(), [made()])


def test_a_lost_row_is_counted() -> None:
    found = lossy()
    assert found["rpo"]["lost_rows"] == 1
    assert found["invariants"]["I3"] == "broken"


def test_the_journal_takes_the_record() -> None:
    assert "timeline" not in brief(made())
    assert len(canonical(brief(made()))) < MAX_DATA


class Strict(HTMLParser):
    """Every element is closed by its own name; nothing is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(v) for k, v in attrs if k in {"src", "href", "data", "srcset"}]
        if tag not in {"meta", "rect", "path"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "found", [made(), lossy(), made(incident=None)], ids=["kept", "broken", "no incident"]
)
def test_the_page_is_whole_and_needs_no_network(found: dict[str, Any]) -> None:
    text = page(found, [found])
    parser = Strict()
    parser.feed(text)
    assert (parser.open, parser.fetched) == ([], [])
    assert "url(" not in text
    assert "@import" not in text
    assert "http" not in text
    assert "@media print" in text


def test_what_people_wrote_is_escaped() -> None:
    text = page(made(), [])
    assert "quarterly &lt;drill&gt;" in text
    assert "<drill>" not in text


def test_the_red_field_is_as_long_as_the_outage() -> None:
    timeline = {
        "bucket_seconds": BUCKET, "writes": [5] * 40, "reads": [0] * 40, "images": [],
        "marks": [{"at": 2.0, "what": "fault", "text": "power-off db1"}],
    }  # fmt: skip
    drawn = availability(timeline, 5.0)
    found = re.search(r'<rect x="([\d.]+)" y="10" width="([\d.]+)"', drawn)
    assert found
    assert float(found[2]) == pytest.approx((760 - 90 - 10) / 2)
    assert "power-off db1" in drawn
    assert availability({**timeline, "marks": []}, None).count("<rect") == 0


def test_without_any_answer_there_is_no_picture() -> None:
    timeline = {"bucket_seconds": BUCKET, "writes": [], "reads": [], "images": [], "marks": []}
    assert availability(timeline, None) == "<p>No client was served.</p>"


def test_phases_are_as_long_as_they_took() -> None:
    drawn = phase_bars(PHASES)
    wide = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', drawn)]
    assert wide == pytest.approx([1.5, 450 * 900 / 1700, 450 * 800 / 1700], abs=0.1)
    assert "~60000 ms" in drawn
    assert "later" in drawn


def test_a_drill_that_stopped_early_keeps_what_it_saw_and_proves_nothing() -> None:
    found = aborted()
    assert (found["verdict"], found["clean"], found["rpo"]["lost_rows"]) == ("aborted", False, None)
    assert found["rto_seconds"] == made()["rto_seconds"]
    assert set(found["invariants"].values()) == {"not judged", "by test"}
    assert said(found) == "aborted: not within 240 s: redundancy is full"
    assert {made()["verdict"], lossy()["verdict"]} == {"kept", "broken"}
    assert len(canonical(brief(found))) < MAX_DATA


def test_what_was_broken_before_it_stopped_is_said() -> None:
    forge = whole()
    forge.write(DB1)
    forge.write(DB2)
    found = aborted(forge)
    assert (found["verdict"], found["invariants"]["I1"]) == ("aborted", "broken")
    assert said(found).endswith("; broken: I1")
