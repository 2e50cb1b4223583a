"""`./bootstrap bench cost`: what hactl costs while nothing is wrong, in a lab that is up and deployed.

Rounds of pgbench through the virtual IP, in turns with hactl running and with each process of it stopped, the
order within a pair by chance: what else happens on the machine then hits both. `--idle`: minutes in which
nothing is asked of the database. Each round is a line of raw.jsonl; another call adds to them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from psycopg2.extensions import make_dsn

from hactl.lab.folder import LABS
from hactl.lab.lab import Lab, only_lab
from tests.bench.cost import report, usage
from tests.bench.cost.pgbench import Pgbench
from tests.bench.failover import machine
from tests.bench.failover_cases import VARIANTS
from tests.bench.failover_modes import Modes
from tests.bench.failover_report import read
from tests.support.labs import Site, operators_network

ON, OFF = VARIANTS["bmc"], VARIANTS["stopped"]
CHECKPOINT: Final = ("runuser", "-u", "postgres", "--", "psql", "-XAtqc", "checkpoint")
IDLE_SLICE: Final = 60.0  # seconds


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bootstrap bench cost", description=__doc__)
    parser.add_argument("--lab", metavar="NAME", help="a lab that is up and deployed; default: the only one")
    parser.add_argument("--pairs", type=int, default=10, help="rounds with hactl, and as many without")
    parser.add_argument("--seconds", type=int, default=60, help="of one round")
    parser.add_argument("--idle", type=int, default=0, metavar="MINUTES", help="with hactl, and no load")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--scale", type=int, default=10, help="pgbench's; 10 is 150 MB")
    parser.add_argument("--seed", type=int, default=20261123)
    parser.add_argument("--out", type=Path, default=Path("build/cost"), metavar="FOLDER")
    parser.add_argument("--report", action="store_true", help="no rounds: only the tables of what is there")
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="put tables and raw data there too")
    return parser.parse_args(words)


def order(pairs: int, seed: int, first: int = 1) -> list[tuple[int, bool]]:
    """Pair and whether hactl runs. Each pair's order depends on the seed and its number alone."""
    found: list[tuple[int, bool]] = []
    for pair in range(first, first + pairs):
        on_first = random.Random(f"{seed}/{pair}").random() < 0.5  # noqa: S311 - not for secrets
        found += [(pair, on_first), (pair, not on_first)]
    return found


def main(words: Sequence[str]) -> None:
    asked = arguments(words)
    raw = asked.out / "raw.jsonl"
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        lab = Lab.open(only_lab(LABS, asked.lab))
        with operators_network(lab):
            for record in _measured(asked, lab, 1 + last_pair(read(raw))):
                with raw.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(record) + "\n")
                sys.stderr.write(report.line(record) + "\n")
    if asked.docs:
        report.publish(raw, asked.docs)
    sys.stdout.write(report.text(read(raw)))


def last_pair(records: Sequence[dict[str, Any]]) -> int:
    return max((r["pair"] for r in records if r["kind"] == "loaded"), default=0)


def _measured(asked: argparse.Namespace, lab: Lab, first: int) -> Iterator[dict[str, Any]]:
    modes = Modes(Site(lab, asked.out / "histories"))
    with contextlib.ExitStack() as ending:
        ending.callback(modes.leave)
        if asked.pairs:
            ground = modes.site.ground
            load = Pgbench(make_dsn(**ground.database), asked.clients, asked.out)
            modes.enter(ON)
            ending.callback(load.drop)  # before hactl is started again, by order of the stack
            load.fill(asked.scale)
            for pair, hactl in order(asked.pairs, asked.seed, first):
                yield {**_head(asked, pair), **_loaded(modes, load, hactl=hactl, seconds=asked.seconds)}
        modes.enter(ON)
        for _ in range(asked.idle):
            yield {**_head(asked, 0), "kind": "idle", "hactl": True, **_watched(lab, IDLE_SLICE)}


def _head(asked: argparse.Namespace, pair: int) -> dict[str, Any]:
    said = {"seed": asked.seed, "pair": pair, "clients": asked.clients, "scale": asked.scale}
    return {"at": datetime.now(UTC).isoformat(), **machine(), **said}


def _loaded(modes: Modes, load: Pgbench, *, hactl: bool, seconds: int) -> dict[str, Any]:
    modes.enter(ON if hactl else OFF)
    primary, _ = modes.primary_and_standby()
    modes.lab.exec(primary, CHECKPOINT, within=60)  # none of the last round's in this one
    before, begin = usage.spent(modes.lab), time.monotonic()
    found = load.run(seconds)
    used = usage.between(before, usage.spent(modes.lab), time.monotonic() - begin)
    return {"kind": "loaded", "hactl": hactl, "primary": primary, **found, "usage": used}


def _watched(lab: Lab, seconds: float) -> dict[str, Any]:
    before, begin = usage.spent(lab), time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begin
    return {"seconds": round(took, 2), "usage": usage.between(before, usage.spent(lab), took)}
