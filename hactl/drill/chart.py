"""Pictures of a drill as SVG: when clients were served, and how long each phase took. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 760
LEFT: Final = 90
LANE: Final = 56
COLOURS: Final = {"writes": "#2e7d32", "reads": "#1565c0", "images": "#6a1b9a"}
MARKS: Final = {"fault": "#c62828", "heal": "#2e7d32"}


def availability(timeline: Mapping[str, Any], rto: float | None) -> str:
    """A lane of bars for each kind of client; the outage as a red field from the fault on."""
    bucket = float(timeline["bucket_seconds"])
    lanes = [name for name in COLOURS if any(timeline[name])]
    if not lanes:
        return "<p>No client was served.</p>"
    count = max(len(timeline[name]) for name in lanes)
    scale = (WIDTH - LEFT - 10) / count
    height = LANE * len(lanes) + 54
    parts = [*_outage(timeline, rto, scale / bucket, height)]
    for place, name in enumerate(lanes):
        parts += _lane(name, timeline[name], place, scale, bucket)
    parts += _axis(count * bucket, scale / bucket, height)
    parts += _marks(timeline["marks"], scale / bucket, height)
    label = "acknowledged writes, answered reads and acknowledged images over time"
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _lane(name: str, bars: Sequence[int], place: int, scale: float, bucket: float) -> Iterator[str]:
    top, most = 16 + place * LANE, max(bars)
    room = LANE - 12
    yield f'<text x="0" y="{top + 24}">{name}</text>'
    yield f'<text x="0" y="{top + 38}">max {most / bucket:.0f}/s</text>'
    steps = []
    for at, value in enumerate(bars):
        if value:
            tall = room * value / most
            steps.append(f"M{LEFT + at * scale:.1f} {top + room:.1f}v-{tall:.1f}h{scale:.2f}v{tall:.1f}z")
    yield f'<path d="{"".join(steps)}" fill="{COLOURS[name]}"/>'
    yield f'<path d="M{LEFT} {top + room}H{WIDTH - 10}" stroke="#d5d8de"/>'


def _outage(timeline: Mapping[str, Any], rto: float | None, scale: float, height: int) -> Iterator[str]:
    fault = next((m for m in timeline["marks"] if m["what"] == "fault"), None)
    if fault is None:
        return
    wide = WIDTH - 10 - LEFT - fault["at"] * scale if rto is None else rto * scale
    yield (
        f'<rect x="{LEFT + fault["at"] * scale:.1f}" y="10" width="{max(wide, 0.5):.1f}" '
        f'height="{height - 48}" fill="#c62828" fill-opacity="0.15"/>'
    )


def _axis(length: float, scale: float, height: int) -> Iterator[str]:
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300) if length / s <= 12), 600)
    for at in range(0, int(length) + 1, step):
        yield f'<text x="{LEFT + at * scale:.1f}" y="{height - 22}" text-anchor="middle">{at} s</text>'


def _marks(marks: Sequence[Mapping[str, Any]], scale: float, height: int) -> Iterator[str]:
    for mark in marks:
        if mark["what"] not in MARKS:
            continue
        x, colour = LEFT + mark["at"] * scale, MARKS[mark["what"]]
        said, y = (escape(mark["text"]), 9) if mark["what"] == "fault" else ("healed", height - 4)
        yield f'<path d="M{x:.1f} 10V{y if y > 9 else height - 38}" stroke="{colour}" stroke-width="1.5"/>'
        yield f'<text x="{x + 3:.1f}" y="{y}" style="fill:{colour}">{said}</text>'


def phase_bars(phases: Sequence[Mapping[str, Any]]) -> str:
    """A bar for each phase, from the one before to it; what took longer than the picture is cut, and said."""
    known = [p for p in phases if p["since_ms"] is not None]
    shown = [p for p in known if p["phase"] != "redundancy-restored"] or known
    longest = max([p["since_ms"] for p in shown] or [1]) or 1
    rows, before = "", 0
    for place, phase in enumerate(known):
        rows += "".join(_phase(phase, 14 + 20 * place, before, longest))
        before = phase["since_ms"]
    height = 20 * len(known) + 8
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="phases">{rows}</svg>'


def _phase(phase: Mapping[str, Any], y: int, before: int, longest: int) -> Iterator[str]:
    at, scale = phase["since_ms"], (WIDTH - 310) / longest
    begin, end = min(before, longest) * scale, min(at, longest) * scale
    yield f'<text x="0" y="{y}">{escape(phase["phase"])}</text>'
    yield f'<text x="130" y="{y}">{escape(phase["node"])}</text>'
    yield f'<text x="230" y="{y}" text-anchor="end">{"" if phase["exact"] else "~"}{at} ms</text>'
    if at > longest:
        yield f'<text x="240" y="{y}">later</text>'
        return
    wide = max(end - begin, 1.5)
    yield f'<rect x="{240 + begin:.1f}" y="{y - 10}" width="{wide:.1f}" height="11" fill="#1565c0"/>'
