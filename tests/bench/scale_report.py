"""Table, curves and verdict of the scale measurements."""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hactl import __version__
from tests.bench.failover_report import between
from tests.bench.scale_plot import Curve, svg

Record = Mapping[str, Any]
BEGIN, END = "<!-- scale: begin, made by tests/bench -->", "<!-- scale: end -->"
CORES, MIB, CYCLE, SCRAPE = 0.6, 250.0, 5.0, 0.15  # budgets with 1,000 nodes
_HEAD: Final = (
    "nodes (misbehaving)", "CPU, cores", "memory, MiB (growth)", "asked by HTTP each, s: median / p99 / max",
    "by DICOM", "scrape, ms: median / p99", "series", "threads: most / then", "open files", "found",
    "called failed wrongly",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """What a record says of where and when it was made."""
    return {
        "hactl": __version__, "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[0], 1), "kernel": platform.release(),
        "python": platform.python_version(),
    }  # fmt: skip


def read(raw: Path) -> list[Record]:
    """The newest record of each number of nodes, fewest first."""
    found = (json.loads(text) for text in raw.read_text(encoding="utf-8").splitlines())
    newest = {record["nodes"]: record for record in found}
    return [newest[count] for count in sorted(newest)]


def line(found: Record) -> str:
    """One measurement on one line."""
    http, scrape = found["cycle_http"], found["scrape"]
    return (
        f"{found['nodes']} nodes: {found['cores']:.3f} cores, {found['rss_mib']:.0f} MiB, "
        f"asked each {http['p50']:.2f} s (p99 {http['p99']:.2f}), scrape p99 {1000 * scrape['p99']:.0f} ms, "
        f"not found {len(found['not_found'])}, wronged {len(found['wronged'])}"
    )


def table(records: Sequence[Record]) -> str:
    rows = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD), *map(_row, records)]
    return "\n".join(rows) + "\n"


def _row(r: Record) -> str:
    found = r["faulty"] - len(r["not_found"])
    cells = [
        f"{r['nodes']:,} ({r['faulty']})", f"{r['cores']:.3f}",
        f"{r['rss_mib']:.0f} ({r['rss_grows_mib']:+.1f})",
        _seconds(r["cycle_http"]), _seconds(r["cycle_dicom"]),
        f"{1000 * r['scrape']['p50']:.0f} / {1000 * r['scrape']['p99']:.0f}", f"{r['series']:,}",
        f"{r['threads']} / {r['threads_steady']}", f"{r['files']:,}", f"{found} of {r['faulty']}",
        str(len(r["wronged"])),
    ]  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def _seconds(found: Mapping[str, float]) -> str:
    return f"{found['p50']:.2f} / {found['p99']:.2f} / {found['max']:.2f}"


def verdict(records: Sequence[Record]) -> list[str]:
    """Sentences: each budget with the most nodes, and whether the cost grows at most as their number does."""
    most = records[-1]
    cycle = max(most["cycle_http"]["p99"], most["cycle_dicom"]["p99"])
    said = [
        _kept("CPU", most["cores"], CORES, "cores"), _kept("memory", most["rss_mib"], MIB, "MiB"),
        _kept("p99 of the cycle", cycle, CYCLE, "s"),
        _kept("p99 of a scrape", most["scrape"]["p99"], SCRAPE, "s"),
    ]  # fmt: skip
    missed, wronged = (sum(len(r[name]) for r in records) for name in ("not_found", "wronged"))
    said.append(f"misbehaving nodes that were not found: {missed}; others that were called failed: {wronged}")
    for fewer, more in itertools.pairwise(records):
        said += [_grows(name, fewer, more) for name in ("CPU", "memory", "cycle", "scrape")]
    return said


def _kept(what: str, value: float, budget: float, unit: str) -> str:
    return f"{what}: {value:.3g} {unit}, {'within' if value <= budget else 'OVER'} {budget:.3g}"


def _value(what: str, r: Record) -> float:
    found: dict[str, float] = {
        "CPU": r["cores"], "memory": r["rss_mib"], "cycle": r["cycle_http"]["p99"],
        "scrape": r["scrape"]["p50"],
    }  # fmt: skip
    return found[what]


def _grows(what: str, fewer: Record, more: Record) -> str:
    times, nodes = _value(what, more) / _value(what, fewer), more["nodes"] / fewer["nodes"]
    how = "linear or better" if times <= nodes else "WORSE THAN LINEAR"
    return f"{what} from {fewer['nodes']:,} to {more['nodes']:,} nodes: times {times:.2g}, {how}"


def text(records: Sequence[Record]) -> str:
    """The table and the verdict."""
    return f"{table(records)}\n" + "".join(f"* {sentence}\n" for sentence in verdict(records))


def _page(records: Sequence[Record]) -> str:
    plot = "![curves](img/scale.svg)\n\nThe short line is the budget with 1,000 nodes. "
    raw = "Raw records: [benchmarks-scale.jsonl](benchmarks-scale.jsonl).\n"
    made = records[-1]
    when = f"Measured {made['when'][:10]}, Linux {made['kernel']}, Python {made['python']}.\n"
    return f"{plot}{raw}\n{text(records)}\n{when}"


def curves(records: Sequence[Record]) -> list[Curve]:
    def points(value: str) -> tuple[tuple[float, float], ...]:
        return tuple((r["nodes"], _value(value, r)) for r in records)

    p99 = tuple((r["nodes"], r["scrape"]["p99"] * 1000) for r in records)
    return [
        Curve("CPU, cores", points("CPU"), CORES), Curve("memory, MiB", points("memory"), MIB),
        Curve("asked each (p99), s", points("cycle"), CYCLE), Curve("scrape (p99), ms", p99, SCRAPE * 1000),
    ]  # fmt: skip


def publish(raw: Path, docs: Path) -> None:
    """Between the marks in benchmarks.md; the plot and the raw records beside it."""
    records = read(raw)
    between(docs / "benchmarks.md", BEGIN, END, _page(records))
    (docs / "img" / "scale.svg").write_text(svg(curves(records)), encoding="utf-8")
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (docs / "benchmarks-scale.jsonl").write_text(lines, encoding="utf-8")
