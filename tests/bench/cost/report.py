"""Tables of what hactl costs: with and without it, pair by pair, and what its processes use."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.cost.usage import MEMORY_OF, UNITS
from tests.bench.failover_report import between, read

BEGIN, END = "<!-- cost: begin, made by tests/bench -->", "<!-- cost: end -->"
Record = Mapping[str, Any]
FIGURES: Mapping[str, Callable[[Record], float]] = {
    "transactions a second": lambda r: float(r["tps"]),
    "latency p50, ms": lambda r: float(r["ms"]["p50"]),
    "latency p99, ms": lambda r: float(r["ms"]["p99"]),
}


def line(record: Record) -> str:
    state = f"{record['kind']}, hactl {'on' if record['hactl'] else 'off'}"
    if record["kind"] == "idle":
        return f"{state}: {record['seconds']:.0f} s"
    return f"{state}, pair {record['pair']}: {record['tps']:.0f}/s, p99 {record['ms']['p99']:.1f} ms"


def text(records: Sequence[Record]) -> str:
    pairs = [(on, off) for on, off in _pairs(records) if on and off]
    parts = [_compared(pairs)] if pairs else []
    used = [r for r in records if r["hactl"]]
    if used:
        parts.append(_used(used))
    return "\n".join(parts) or "nothing was measured\n"


def _pairs(records: Sequence[Record]) -> list[tuple[Record | None, Record | None]]:
    loaded = [r for r in records if r["kind"] == "loaded"]
    numbers = sorted({r["pair"] for r in loaded})
    by = {(r["pair"], r["hactl"]): r for r in loaded}
    return [(by.get((n, True)), by.get((n, False))) for n in numbers]


def _compared(pairs: Sequence[tuple[Any, Any]]) -> str:
    """Medians; and of the pairs' own differences the median and the range."""
    lines = [
        "| | hactl on | hactl off | difference within a pair: median (range) | pairs |",
        "|---|---|---|---|---|",
    ]
    for name, of in FIGURES.items():
        on, off = [of(a) for a, _ in pairs], [of(b) for _, b in pairs]
        parts = [100 * (a - b) / b for a, b in zip(on, off, strict=True)]
        spread = f"{statistics.median(parts):+.1f} % ({min(parts):+.1f} to {max(parts):+.1f})"
        middle = f"{statistics.median(on):.1f} | {statistics.median(off):.1f}"
        lines.append(f"| {name} | {middle} | {spread} | {len(pairs)} |")
    return "\n".join(lines) + "\n"


def _used(records: Sequence[Record]) -> str:
    """Cores over all such rounds together, weighted by their length, and the most memory there was."""
    kinds = [kind for kind in ("idle", "loaded") if any(r["kind"] == kind for r in records)]
    said = {k: f"{sum(r['seconds'] for r in records if r['kind'] == k) / 60:.1f} min" for k in kinds}
    head = ["| node | program |", *(f" CPU, cores, {k} ({said[k]}) |" for k in kinds), " memory, MiB, most |"]
    lines = ["".join(head), "|---|---|" + "---|" * (len(kinds) + 1)]
    for node in sorted({n for r in records for n in r["usage"]}):
        for unit in UNITS:
            mine = [(r, u) for r in records if (u := r["usage"].get(node, {}).get(unit))]
            if mine:
                cores = [_cores([(r, u) for r, u in mine if r["kind"] == k]) for k in kinds]
                most = f"{max(u['mib'] for _, u in mine):.0f}" if unit in MEMORY_OF else ""
                lines.append(f"| {node} | {unit} | {' | '.join(cores)} | {most} |")
    return "\n".join(lines) + "\n"


def _cores(mine: Sequence[tuple[Any, Any]]) -> str:
    took = sum(r["seconds"] for r, _ in mine)
    return f"{sum(r['seconds'] * u['cores'] for r, u in mine) / took:.4f}" if took else ""


def publish(raw: Path, docs: Path) -> None:
    """Between the marks in benchmarks.md; the raw records beside it."""
    between(docs / "benchmarks.md", BEGIN, END, text(read(raw)))
    (docs / "benchmarks-cost.jsonl").write_text(raw.read_text(encoding="utf-8"), encoding="utf-8")
