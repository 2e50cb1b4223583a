"""The record of a drill: what was done, measured and proved, as plain data for journal and files. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hactl.decide.drill import SWITCHOVER
from hactl.drill.checker import Judgment
from hactl.drill.course import course
from hactl.drill.history import Event, Mark, Outcome, Read, Store, Write
from hactl.drill.outage import Outage, archive_outage, served
from hactl.drill.scenarios import PROVED, Scenario

VERSION: Final = 1
STATIC: Final = "by test"  # I9 is a matter of the code
KEPT: Final = "kept"
BROKEN: Final = "broken"
BUCKET: Final = 0.25  # seconds of one bar of the timeline


def record(
    scenario: Scenario,
    verdict: Judgment,
    events: Sequence[Event],
    about: Mapping[str, Any],
    incident: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """`about`: what only the caller knows: run, node, cluster, number and digest of the spec, who, why."""
    broken = {f.invariant for f in verdict.findings}
    seen = verdict.outage
    return {
        "version": VERSION,
        **about,
        "scenario": scenario.name,
        "says": scenario.says,
        "clean": verdict.clean,
        "verdict": KEPT if verdict.clean else BROKEN,
        "rto_seconds": None if seen is None else _rounded(_outage(scenario, seen)),
        "rto_limit_seconds": scenario.limit,
        "silence_seconds": None if seen is None else _rounded(seen.silence),
        "archive_seconds": _rounded(archive_outage(events)),
        "rpo": {"lost_rows": lost(verdict), "lost_commits": (incident or {}).get("lost_commits")},
        "staleness_ms": verdict.staleness_ms,
        "invariants": {i: state(i, broken, verdict.silent) for i in PROVED},
        "findings": [str(f) for f in verdict.findings],
        "remarks": [str(f) for f in verdict.remarks],
        "counts": dict(verdict.counts),
        "incident": None if incident is None else {k: incident[k] for k in ("id", "result", "phases")},
        "course": course(events),
        "timeline": timeline(events),
    }


def _outage(scenario: Scenario, seen: Outage) -> float | None:
    """Of a switchover, which breaks nothing, the longest silence: at first the old one commits."""
    return seen.silence if scenario.fault == SWITCHOVER else seen.recovery


def state(invariant: str, broken: set[str], silent: Sequence[str]) -> str:
    if invariant in broken:
        return "broken"
    if invariant in silent:
        return "not judged"
    return STATIC if invariant == "I9" else "kept"


def lost(verdict: Judgment) -> int:
    """Acknowledged rows that are missing, on the node that lacks most of them."""
    said = [f.sentence for f in verdict.findings if "acknowledged rows missing" in f.sentence]
    return max((int(s.split()[0]) for s in said), default=0)


def timeline(events: Sequence[Event]) -> dict[str, Any]:
    """Acknowledged writes and images by quarter seconds, and the marks; seconds since the first write."""
    writes = served(events)
    if not writes:
        return {"bucket_seconds": BUCKET, "writes": [], "reads": [], "images": [], "marks": []}
    start = min(w.begin for w in writes)
    ends = [e.end for e in events if isinstance(e, Write | Store | Read)]
    count = int((max(ends) - start) / BUCKET) + 1
    return {
        "bucket_seconds": BUCKET,
        "writes": _bars(writes, Write, start, count),
        "reads": _bars(events, Read, start, count),
        "images": _bars(events, Store, start, count),
        "marks": [
            {"at": round(e.begin - start, 3), "what": e.what, "text": f"{e.detail} {e.node}".strip()}
            for e in events
            if isinstance(e, Mark)
        ],
    }  # fmt: skip


def _bars(events: Sequence[Event], kind: type[Write | Read | Store], start: float, count: int) -> list[int]:
    bars = [0] * count
    for event in events:
        if isinstance(event, kind) and event.outcome is Outcome.OK:
            place = int((event.end - start) / BUCKET)
            if 0 <= place < count:
                bars[place] += 1
    return bars


def broken(found: Mapping[str, Any]) -> list[str]:
    return [name for name, state in found["invariants"].items() if state == "broken"]


def said(found: Mapping[str, Any]) -> str:
    """What came of it in a few words: kept, which promises were broken, why it stopped early."""
    names = f"broken: {', '.join(broken(found))}" if broken(found) else ""
    if why := found.get("why"):
        return f"aborted: {why}{f'; {names}' if names else ''}"
    return names or KEPT


def brief(found: Mapping[str, Any]) -> dict[str, Any]:
    """For the journal: without the timeline, whose place is the file."""
    return {name: value for name, value in found.items() if name not in {"timeline", "says"}}


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
