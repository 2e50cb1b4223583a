"""A verdict in words, and as JSON beside its history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hactl.drill.checker import ROWS_ALONE, Judgment
from hactl.drill.history import Mark


def lines(verdict: Judgment) -> Iterator[str]:
    """What was measured, then what was proved, or every finding with its evidence."""
    count = verdict.counts
    if verdict.outage:
        yield from _outage(verdict)
    acked, failed, unknown = count.get("ok", 0), count.get("fail", 0), count.get("info", 0)
    yield f"{acked} writes acknowledged, {failed} failed, {unknown} of unknown outcome; {count['rows']} rows"
    yield f"{count['images']} images acknowledged; {count['looks']} looks at who carries the VIPs"
    if verdict.staleness_ms is not None:
        yield f"{count['reads']} reads; the stalest was {verdict.staleness_ms} ms behind"
    yield f"{count['claims']} times a database node said whether it is writable"
    if verdict.clean:
        yield from _proved(count["images"], verdict.silent)
    for finding in verdict.findings:
        yield str(finding)
    for remark in verdict.remarks:
        yield remark.sentence if remark == ROWS_ALONE else f"no client could reach it: {remark.sentence}"
    if verdict.silent:
        yield f"not judged: {', '.join(verdict.silent)}"


def _proved(images: int, silent: Sequence[str]) -> Iterator[str]:
    pictures = ", every image came back with its pixels" if images else ""
    yield f"nothing acknowledged is missing: every row is there once, in order, on both nodes{pictures}"
    vips = "" if "I2" in silent else "; no VIP was on two nodes"
    yield f"one writer at a time; timelines only grew{vips}"


def _outage(verdict: Judgment) -> Iterator[str]:
    seen = verdict.outage
    if seen is None:
        return
    if seen.recovery is None:
        yield f"outage after {_lost(seen.fault)}: no new connection could commit again"
    else:
        yield f"outage after {_lost(seen.fault)}: {seen.recovery:.2f} s"
    yield f"longest time without any acknowledgement: {seen.silence:.2f} s"


def _lost(fault: Mark) -> str:
    return f"{fault.detail} on {fault.node}" if fault.detail else f"the loss of {fault.node}"


def document(verdict: Judgment) -> dict[str, Any]:
    return {"clean": verdict.clean, **asdict(verdict)}


def save(verdict: Judgment, history: Path) -> Path:
    """Writes NAME.verdict.json beside NAME.jsonl."""
    target = history.with_suffix(".verdict.json")
    target.write_text(json.dumps(document(verdict), indent=1) + "\n")
    return target
