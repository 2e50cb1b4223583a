"""Measures what docs/benchmarks.md quotes: `./bootstrap bench [NAME ...] [--runs N] [--out FILE]`.

`failover`, `scale`, `alarms`, `faults`, `soak`, `peers` and `cost` are matters of their own: failover.py,
scale.py, alarms.py, matrix.py, peers/series.py, cost/series.py.

Each measure is a whole command, timed from outside, as its user would feel it. Raw figures go into a JSON
file, so that a table can be made again, and a figure be doubted, without running it all once more.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from hactl import __version__
from tests.bench import alarms, failover, matrix, scale
from tests.bench.cost import series as cost
from tests.bench.measures import FIGURES, MEASURES
from tests.bench.peers import series as peers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bootstrap bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(MEASURES)}. Default: all")
    parser.add_argument("--runs", type=int, default=None, help="runs of each; default: each measure's own")
    parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
    found = parser.parse_args()
    for name in found.names:
        if name not in MEASURES:
            parser.error(f"no measure {name}; there are: {', '.join(MEASURES)}")
    return found


def _row(name: str, goal: str, seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"| {name} | {middle:.2f} | {low:.2f} to {high:.2f} | {len(seconds)} | {goal} |"


def main() -> None:
    apart: dict[str, Callable[[Sequence[str]], None]] = {
        "failover": failover.main, "scale": scale.main, "alarms": alarms.main,
        "faults": partial(matrix.main, "faults"), "soak": partial(matrix.main, "soak"),
        "peers": peers.main, "cost": cost.main,
    }  # fmt: skip
    if sys.argv[1:2] and (other := apart.get(sys.argv[1])):
        other(sys.argv[2:])
        return
    asked = _arguments()
    series: dict[str, list[float]] = {}
    for name in asked.names or list(MEASURES):
        measure = MEASURES[name]
        for k in range(asked.runs or measure.runs):
            for figure, seconds in measure.once().items():
                series.setdefault(figure, []).append(seconds)
                sys.stderr.write(f"{figure} {k + 1}: {seconds:.3f} s\n")
    results = {f: {"what": FIGURES[f].what, "goal": FIGURES[f].goal, "seconds": s} for f, s in series.items()}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    record = {"hactl": __version__, "at": datetime.now(UTC).isoformat(), "machine": machine}
    asked.out.write_text(json.dumps({**record, "measures": results}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write("| what | median, s | range, s | runs | goal |\n|---|---|---|---|---|\n")
    for r in results.values():
        sys.stdout.write(_row(r["what"], r["goal"], r["seconds"]) + "\n")


main()
