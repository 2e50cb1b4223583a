"""`./bootstrap bench peers`: hactl, Patroni alone, pg_auto_failover, broken alike and in random order.

hactl and Patroni alone run in a lab that is up and deployed; pg_auto_failover in a lab `peers`, made here.
Each run is a line of raw.jsonl as soon as it is over. A series that was stopped goes on where it ended: the
same seed gives the same order, and what was measured is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import psycopg2

from hactl.errors import HactlError
from hactl.lab import faults
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab, only_lab
from tests.bench import failover_report
from tests.bench.failover import machine
from tests.bench.failover_modes import Modes
from tests.bench.failover_run import Run
from tests.bench.peers import pgaf_setup, report
from tests.bench.peers.cases import NAMES, WAYS, by_monitor, case_of
from tests.bench.peers.pgaf import Monitored, monitored
from tests.support.labs import Site, operators_network

SEED: Final = 20261123
USUAL: Final = 80.0  # seconds for a run of which nothing is known yet, what comes before it included


@dataclass(frozen=True)
class Cell:
    round: int
    case: str
    way: str

    @property
    def key(self) -> str:
        return f"{self.round}/{self.case}/{self.way}"


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bootstrap bench peers", description=__doc__)
    parser.add_argument("--lab", metavar="NAME", help="hactl's lab, up and deployed; default: the only other")
    parser.add_argument("--runs", type=int, default=5, help="rounds over the whole matrix (default: 5)")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no run that may end later")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--case", action="append", choices=NAMES, help="only this; may be given again")
    parser.add_argument("--way", action="append", choices=WAYS, help="only this; may be given again")
    parser.add_argument("--out", type=Path, default=Path("build/peers"), metavar="FOLDER")
    parser.add_argument("--report", action="store_true", help="no runs: only table and plot of what is there")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="put table, plot and raw data there too")
    parser.add_argument("--keep", action="store_true", help="leave the lab `peers` up for the next slice")
    parser.add_argument("--down", action="store_true", help="only remove the lab `peers`")
    return parser.parse_args(words)


def schedule(runs: int, seed: int, *, cases: Iterable[str] = NAMES, ways: Iterable[str] = WAYS) -> list[Cell]:
    """Rounds, each with every cell once: the ways in a random order, and within each the faults.

    The whole order is drawn, then what is not wanted left out: a part of a series is in its order too.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    order = [
        Cell(number, case, way)
        for number in range(1, runs + 1)
        for way in chance.sample(list(WAYS), len(WAYS))
        for case in chance.sample(NAMES, len(NAMES))
    ]
    cases, ways = set(cases), set(ways)
    return [cell for cell in order if cell.case in cases and cell.way in ways]


def undone(order: Iterable[Cell], records: Iterable[dict[str, Any]], seed: int) -> list[Cell]:
    done = {r["cell"] for r in records if r["seed"] == seed and "error" not in r}
    return [cell for cell in order if cell.key not in done]


def expected(cell: Cell, records: Iterable[dict[str, Any]]) -> float:
    """Seconds that a run of this cell may take, by those there were."""
    took = [r["took"] for r in records if (r["case"], r["variant"]) == (cell.case, cell.way) and "took" in r]
    return max(took, default=USUAL)


@dataclass
class Pairs:
    """Each is opened when the first run needs it."""

    asked: argparse.Namespace
    _modes: Modes | None = None
    _monitored: Monitored | None = None
    _versions: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, way: str) -> Modes | Monitored:
        if by_monitor(way):
            self._monitored = self._monitored or monitored(self.asked.out / "histories")
            return self._monitored
        self._modes = self._modes or Modes(Site(self._lab(), self.asked.out / "histories"))
        return self._modes

    def _lab(self) -> Lab:
        """The only one besides `peers`. Raises Refused: none, or several."""
        others = [p.parent.name for p in LABS.glob("*/lab.json") if p.parent.name != pgaf_setup.NAME]
        return Lab.open(only_lab(LABS, self.asked.lab or (others[0] if len(others) == 1 else None)))

    def versions(self, way: str) -> dict[str, str]:
        kind = "pgaf" if by_monitor(way) else "hactl"
        if kind not in self._versions:
            self._versions[kind] = self.of(way).versions()
        return self._versions[kind]

    def leave(self) -> None:
        for pair in (self._modes, self._monitored):
            if pair:
                with operators_network(pair.lab):
                    pair.leave()


def main(words: Sequence[str]) -> None:
    asked = arguments(words)
    raw = asked.out / "raw.jsonl"
    asked.out.mkdir(parents=True, exist_ok=True)
    if asked.down:
        pgaf_setup.remove(lambda _: None)
        return
    if not asked.report:
        _measure(asked, raw)
    report.write(raw, asked.out)
    if asked.docs:
        report.publish(raw, asked.docs)
    sys.stdout.write((asked.out / "peers.md").read_text(encoding="utf-8"))


def _measure(asked: argparse.Namespace, raw: Path) -> None:
    order = schedule(asked.runs, asked.seed, cases=asked.case or NAMES, ways=asked.way or WAYS)
    pairs = Pairs(asked)
    try:
        for number, cell in _within(asked, undone(order, failover_report.read(raw), asked.seed), raw):
            record = _once(pairs, cell, asked.seed)
            with raw.open("a", encoding="utf-8") as out:
                out.write(json.dumps(record) + "\n")
            sys.stderr.write(f"{number} of {len(order)} {failover_report.line(record)}\n")
    finally:
        pairs.leave()
        if not asked.keep:
            pgaf_setup.remove(lambda _: None)


def _within(asked: argparse.Namespace, cells: list[Cell], raw: Path) -> Iterator[tuple[int, Cell]]:
    """As many as the time allows."""
    end = time.monotonic() + asked.minutes * 60
    for number, cell in enumerate(cells, 1):
        if asked.minutes and time.monotonic() + expected(cell, failover_report.read(raw)) > end:
            sys.stderr.write(f"time is up: {len(cells) - number + 1} runs are left\n")
            return
        yield number, cell


def _once(pairs: Pairs, cell: Cell, seed: int) -> dict[str, Any]:
    begin, pair, way = time.monotonic(), pairs.of(cell.way), WAYS[cell.way]
    head = {"seed": seed, "cell": cell.key, "at": datetime.now(UTC).isoformat(), **machine()}
    chance = random.Random(f"{seed}/{cell.key}")  # noqa: S311 - not for secrets
    with operators_network(pair.lab):
        head["versions"] = pairs.versions(cell.way)
        try:
            record = Run(pair, case_of(cell.case, cell.way), way, chance).once()
        except (HactlError, psycopg2.Error) as error:  # this run says nothing; the next one may
            record = {"case": cell.case, "variant": cell.way, "error": str(error).strip()}
            faults.heal(pair.lab)
            if isinstance(pair, Modes):
                pair.now = None
        if isinstance(pair, Modes) and record.get("rejoin") is None:
            with contextlib.suppress(HactlError):  # the next run says what is lacking
                pair.copy_anew()
    return {**head, **record, "took": round(time.monotonic() - begin, 1)}
