"""A strip plot as SVG: one dot a run, a bar at the median, a line at the budget; seconds on a log scale."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 960, 450, 20
ROW, TOP = 22, 30
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
COLOURS = ("#0b6e4f", "#4c9a2a", "#2a7f9e", "#c77b30", "#9b2226", "#6a4c93")


@dataclass(frozen=True)
class Strip:
    """One line of the plot; `group` is printed where it changes. `budget` in seconds, `colour` a number."""

    group: str
    name: str
    seconds: tuple[float, ...]
    budget: float | None = None
    colour: int = 0


def place(value: float) -> float:
    """Where on the x axis a number of seconds stands."""
    low, high = math.log10(TICKS[0]), math.log10(TICKS[-1])
    part = (math.log10(min(max(value, TICKS[0]), TICKS[-1])) - low) / (high - low)
    return LEFT + part * (WIDTH - LEFT - RIGHT)


def svg(strips: Sequence[Strip]) -> str:
    height = TOP + ROW * max(1, len(strips)) + 30
    font = 'font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {font}>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="{LEFT}" y="16">seconds without a commit by a new connection (log scale)</text>',
        *_axis(height),
    ]
    for number, strip in enumerate(strips):
        first = number == 0 or strips[number - 1].group != strip.group
        parts += _row(
            strip, TOP + ROW * number + ROW / 2, COLOURS[strip.colour % len(COLOURS)], shows_group=first
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _axis(height: int) -> list[str]:
    parts = []
    for tick in TICKS:
        x = place(tick)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{height - 25}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{tick:g}</text>')
    return parts


def _row(strip: Strip, y: float, colour: str, *, shows_group: bool) -> list[str]:
    parts = [
        f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end" fill="{colour}">{escape(strip.name)}</text>'
    ]
    if shows_group:
        parts.append(f'<line x1="0" y1="{y - ROW / 2}" x2="{WIDTH}" y2="{y - ROW / 2}" stroke="#bbbbbb"/>')
        parts.append(f'<text x="4" y="{y + 4}" font-weight="bold">{escape(strip.group)}</text>')
    if strip.budget is not None:
        x = place(strip.budget)
        parts.append(f'<line x1="{x:.1f}" y1="{y - 9}" x2="{x:.1f}" y2="{y + 9}" stroke="#000000"/>')
    dot = f'cy="{y}" r="3.5" fill="{colour}" fill-opacity="0.5"'
    parts += [f'<circle cx="{place(v):.1f}" {dot}><title>{v:.2f} s</title></circle>' for v in strip.seconds]
    if strip.seconds:
        x = place(statistics.median(strip.seconds))
        parts.append(f'<rect x="{x - 1.5:.1f}" y="{y - 7}" width="3" height="14" fill="{colour}"/>')
    else:
        parts.append(f'<text x="{WIDTH - RIGHT}" y="{y + 4}" text-anchor="end" fill="{colour}">never</text>')
    return parts
