"""Table and plot of the comparison: every cell is there, also those that were not run."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench.failover_plot import Strip, svg
from tests.bench.failover_report import between, line, read
from tests.bench.failover_run import REDUNDANT_WITHIN
from tests.bench.peers.cases import NAMES, WAYS, case_of

BEGIN, END = "<!-- peers: begin, made by tests/bench -->", "<!-- peers: end -->"
# What tells two instances on one node apart; of no use to a reader of the table.
_INSTANCE: Final = re.compile(r" \(timeline \d+, started [^)]*\)")
REJOIN: Final = "rejoin"
HEAD: Final = (
    "| fault | run as | median | max | runs | acknowledged rows lost | two writers: acknowledged / said so |",
    "|---|---|---|---|---|---|---|",
)
REJOIN_WHAT: Final = "rejoin after the host's loss, from power on"


def title(case: str) -> str:
    return REJOIN_WHAT if case == REJOIN else case_of(case, "bmc").what


def of(records: Sequence[Mapping[str, Any]], case: str, way: str) -> list[Mapping[str, Any]]:
    """The runs of a cell that were measured. Those of `rejoin` are those of the host's loss."""
    wanted = "host-loss" if case == REJOIN else case
    return [r for r in records if (r["case"], r["variant"]) == (wanted, way) and "error" not in r]


def seconds(records: Sequence[Mapping[str, Any]], case: str) -> list[float]:
    found = [r["rejoin" if case == REJOIN else "seconds"] for r in records]
    return [value for value in found if value is not None]


def row(records: Sequence[Mapping[str, Any]], case: str, way: str) -> str:
    head = f"| {title(case)} | {WAYS[way].what} |"
    if not records:
        return f"{head} not run | | 0 | | |"
    times = seconds(records, case)
    limit = "never" if case == REJOIN else f"not within {case_of(case, way).limit:g}"
    never = len(records) - len(times)
    middle = f"{statistics.median(times):.2f}" if times else limit
    most = f"{max(times):.2f}" if times else ""
    runs = f"{len(records)}" + (f" ({never} {limit})" if never and times else "")
    lost, both, said = (sum(r[name] for r in records) for name in ("lost", "both", "dual"))
    return f"{head} {middle} | {most} | {runs} | {lost} | {both} / {said} |"


def table(records: Sequence[Mapping[str, Any]]) -> str:
    cells = [(case, way) for case in (*NAMES, REJOIN) for way in WAYS]
    return "\n".join([*HEAD, *(row(of(records, *cell), *cell) for cell in cells)]) + "\n"


def strips(records: Sequence[Mapping[str, Any]]) -> list[Strip]:
    """Of the cells that were run."""
    found = [(case, way, of(records, case, way)) for case in (*NAMES, REJOIN) for way in WAYS]
    return [
        Strip(
            title(case).partition(",")[0],
            WAYS[way].what,
            tuple(seconds(mine, case)),
            None,
            list(WAYS).index(way),
        )
        for case, way, mine in found
        if mine
    ]


def text(records: Sequence[Mapping[str, Any]]) -> str:
    """The table, which promises were broken, what could not be measured, and with what it was."""
    broken = list(findings(records))
    lacking = [f"* {line(r)}" for r in records if "error" in r]
    parts = [table(records)]
    if broken:
        parts.append("Promises that the checker found broken:\n\n" + "\n".join(broken) + "\n")
    if lacking:
        parts.append("Not counted:\n\n" + "\n".join(lacking) + "\n")
    if said := versions(records):
        parts.append(f"Versions: {said}.\n")
    return "\n".join(parts)


def findings(records: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Which promises the checker found broken, in how many of a cell's runs, and what it said first.

    And how often the struck node did not come back.
    """
    for case, way in ((case, way) for case in NAMES for way in WAYS):
        mine = of(records, case, way)
        first: dict[str, str] = {}
        for said in (said for r in mine for said in r["findings"]):
            name, _, sentence = said.partition(": ")
            first.setdefault(name, _INSTANCE.sub("", sentence))
        for name, sentence in sorted(first.items()):
            runs = sum(any(said.startswith(f"{name}:") for said in r["findings"]) for r in mine)
            yield f"* {title(case)}; {WAYS[way].what}: {name} in {runs} of {len(mine)}: {sentence}"
        if away := sum(r["rejoin"] is None for r in mine):
            said = f"no synchronous standby again within {REDUNDANT_WITHIN:g} s"
            yield f"* {title(case)}; {WAYS[way].what}: {said} in {away} of {len(mine)}"


def versions(records: Sequence[Mapping[str, Any]]) -> str:
    found = {value for r in records for value in r.get("versions", {}).values()}
    return "; ".join(sorted(found))


def write(raw: Path, out: Path) -> None:
    """peers.md and peers.svg."""
    records = read(raw)
    (out / "peers.md").write_text(text(records), encoding="utf-8")
    (out / "peers.svg").write_text(svg(strips(records)), encoding="utf-8")


def publish(raw: Path, docs: Path) -> None:
    """Between the marks in benchmarks.md; the plot and the raw records beside it."""
    records = read(raw)
    between(docs / "benchmarks.md", BEGIN, END, text(records))
    (docs / "img" / "peers.svg").write_text(svg(strips(records)), encoding="utf-8")
    (docs / "benchmarks-peers.jsonl").write_text(raw.read_text(encoding="utf-8"), encoding="utf-8")
