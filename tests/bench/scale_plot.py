"""Curves as SVG, side by side: a cost against the number of nodes, both on log scales, with its budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

PANEL, HEIGHT, LEFT, TOP, BOTTOM, RIGHT = 240, 240, 46, 30, 34, 12
COLOUR, BUDGET, GRID = "#0b6e4f", "#000000", "#dddddd"
DECADES = 3  # at least so many are shown, so that a line of slope 1 looks the same everywhere


@dataclass(frozen=True)
class Curve:
    """`points`: nodes and value; `budget` at the most nodes."""

    name: str
    points: tuple[tuple[float, float], ...]
    budget: float


@dataclass(frozen=True)
class _Axis:
    """From value to place, on a log scale."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        part = (math.log10(max(value, 1e-9)) - self.low) / (self.high - self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        return [10.0**power for power in range(math.ceil(self.low), math.floor(self.high) + 1)]


def svg(curves: Sequence[Curve]) -> str:
    width = PANEL * len(curves)
    font = 'font-family="sans-serif" font-size="12"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" {font}>',
        f'<rect width="{width}" height="{HEIGHT}" fill="white"/>',
    ]
    for number, curve in enumerate(curves):
        parts += [f'<g transform="translate({PANEL * number} 0)">', *_panel(curve), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(curve: Curve) -> list[str]:
    nodes = [n for n, _ in curve.points]
    values = [v for _, v in curve.points] + [curve.budget]
    middle = (math.log10(max(min(values), 1e-9)) + math.log10(max(values))) / 2
    half = max(DECADES / 2, math.log10(max(values)) - middle + 0.2)
    x = _Axis(math.log10(min(nodes)) - 0.1, math.log10(max(nodes)) + 0.1, LEFT, PANEL - RIGHT)
    y = _Axis(middle - half, middle + half, HEIGHT - BOTTOM, TOP)
    places = [(x.at(n), y.at(v)) for n, v in curve.points]
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
    budget, right = y.at(curve.budget), x.at(max(nodes))
    mark = f'x1="{right - 14:.1f}" x2="{right + 6:.1f}" y1="{budget:.1f}" y2="{budget:.1f}"'
    return [
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(curve.name)}</text>',
        *_grid(x, y, nodes),
        f'<polyline points="{line}" fill="none" stroke="{COLOUR}" stroke-width="1.5"/>',
        *(_dot(*place, value) for place, (_, value) in zip(places, curve.points, strict=True)),
        f'<line {mark} stroke="{BUDGET}" stroke-width="2"/>',
    ]


def _grid(x: _Axis, y: _Axis, nodes: Sequence[float]) -> list[str]:
    parts = []
    for tick in y.ticks():
        at = y.at(tick)
        parts.append(f'<line x1="{LEFT}" x2="{PANEL - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 4}" y="{at + 4:.1f}" text-anchor="end">{tick:g}</text>')
    under = f'y="{HEIGHT - 14}" text-anchor="middle"'
    return parts + [f'<text x="{x.at(count):.1f}" {under}>{count:,.0f}</text>' for count in nodes]


def _dot(at: float, up: float, value: float) -> str:
    dot = f'<circle cx="{at:.1f}" cy="{up:.1f}" r="3.5" fill="{COLOUR}"><title>{value:.3g}</title></circle>'
    return f'{dot}<text x="{at:.1f}" y="{up - 7:.1f}" text-anchor="middle" font-size="10">{value:.3g}</text>'
