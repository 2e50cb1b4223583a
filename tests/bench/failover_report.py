"""Tables and a plot of what the failover matrix measured."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.failover_cases import BUDGETS, CASES, VARIANTS
from tests.bench.failover_plot import Strip, svg

Record = Mapping[str, Any]
BEGIN, END = "<!-- failover: begin, made by tests/bench -->", "<!-- failover: end -->"
PHASES = ("suspected", "intent", "proof", "primed", "released", "promoted", "vip-up", "first-commit")


def read(raw: Path) -> list[dict[str, Any]]:
    lines = raw.read_text(encoding="utf-8").splitlines() if raw.exists() else []
    return [json.loads(line) for line in lines]


def line(record: Record) -> str:
    """One run on one line."""
    if "error" in record:
        return f"{record['case']} {record['variant']}: NOT MEASURED: {record['error']}"
    rejoin = "never" if record["rejoin"] is None else f"{record['rejoin']:.1f} s"
    findings = f" FINDINGS {record['findings']}" if record["findings"] else ""
    cell, took = f"{record['case']} {record['variant']}", seconds(record["seconds"])
    return f"{cell}: {took}, standby again {rejoin}{findings}"


def seconds(value: float | None) -> str:
    return "none" if value is None else f"{value:.2f} s"


def cells(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """In the order of the matrix; runs that were not measured are left out."""
    found: dict[tuple[str, str], list[Record]] = {}
    for case in CASES:
        for variant in VARIANTS:
            mine = [r for r in records if (r["case"], r["variant"]) == (case, variant) and "error" not in r]
            if mine:
                found[case, variant] = mine
    return found


def row(case: str, variant: str, records: Sequence[Record]) -> str:
    times = [r["seconds"] for r in records if r["seconds"] is not None]
    never = len(records) - len(times)
    budget = BUDGETS.get((case, variant))
    said = [
        CASES[case].what,
        VARIANTS[variant].what,
        f"{statistics.median(times):.2f}" if times else f"not within {CASES[case].limit:g}",
        f"{min(times):.2f} to {max(times):.2f}" if times else "",
        f"{len(records)}" + (f" ({never} without recovery)" if never and times else ""),
        f"≤ {budget[0]:g} / {budget[1]:g}" if budget else "",
        _rejoin(records),
        str(sum(r["lost"] for r in records)),
        str(sum(r["dual"] for r in records)),
        str(sum(any(f.startswith("I2") for f in r["findings"]) for r in records)),
    ]
    return "| " + " | ".join(said) + " |"


def _rejoin(records: Sequence[Record]) -> str:
    times = [r["rejoin"] for r in records if r["rejoin"] is not None]
    return f"{statistics.median(times):.1f} (max {max(times):.1f})" if times else "never"


def table(records: Sequence[Record]) -> str:
    head = [
        "| fault | run as | median | range | runs | budget | standby again | lost | dual | VIP twice |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row(*key, mine) for key, mine in cells(records).items())]) + "\n"


def phases(records: Sequence[Record]) -> str:
    """Median seconds from the fault to each phase, for the runs in which hactl opened an incident."""
    names = [p for p in PHASES if any(p in _phases(r) for r in records)]
    if not names:
        return ""
    lines = ["| fault | run as | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for (case, variant), mine in cells(records).items():
        known = [_phases(r) for r in mine if _phases(r)]
        if known:
            values = [[k[n] for k in known if n in k] for n in names]
            shown = [f"{statistics.median(v):.2f}" if v else "" for v in values]
            lines.append(f"| {CASES[case].what} | {VARIANTS[variant].what} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def _phases(record: Record) -> Mapping[str, float]:
    found: Mapping[str, float] = (record.get("incident") or {}).get("phases", {})
    return found


def strips(records: Sequence[Record]) -> list[Strip]:
    return [
        Strip(
            CASES[case].what,
            VARIANTS[variant].what,
            tuple(r["seconds"] for r in mine if r["seconds"] is not None),
            BUDGETS.get((case, variant), (None, None))[0],
            list(VARIANTS).index(variant),
        )
        for (case, variant), mine in cells(records).items()
    ]


def text(records: Sequence[Record]) -> str:
    """Both tables, and what could not be measured."""
    lacking = [f"* {line(r)}" for r in records if "error" in r]
    said = "\nNot counted:\n\n" + "\n".join(lacking) + "\n" if lacking else ""
    told = phases(records)
    phase = f"\nWhere the time goes, seconds after the fault (medians):\n\n{told}" if told else ""
    return f"{table(records)}{phase}{said}"


def write(raw: Path, out: Path) -> None:
    """failover.md and failover.svg."""
    records = read(raw)
    (out / "failover.md").write_text(text(records), encoding="utf-8")
    (out / "failover.svg").write_text(svg(strips(records)), encoding="utf-8")


def publish(raw: Path, docs: Path) -> None:
    """Between the marks in benchmarks.md; the plot and the raw records beside it."""
    records = read(raw)
    between(docs / "benchmarks.md", BEGIN, END, text(records))
    (docs / "img" / "failover.svg").write_text(svg(strips(records)), encoding="utf-8")
    (docs / "benchmarks-failover.jsonl").write_text(raw.read_text(encoding="utf-8"), encoding="utf-8")


def between(page: Path, begin: str, end: str, new: str) -> None:
    """What stands between two marks of a page is `new` from now on."""
    before, rest = page.read_text(encoding="utf-8").split(begin)
    after = rest.split(end)[1]
    page.write_text(f"{before}{begin}\n\n{new}\n{end}{after}", encoding="utf-8")
