"""`./bootstrap bench failover`: outages of hactl and of Patroni alone, in one lab, in random order.

Each run is one line of raw.jsonl, with its history and verdict beside it, written as soon as it is over:
figures can be doubted, judged again, and added to. The order comes from the recorded seed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from hactl import __version__
from hactl.errors import HactlError
from hactl.lab import faults
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab, only_lab
from hactl.render.etcd import STEADY
from tests.bench import failover_report
from tests.bench.failover_cases import CASES, PLAN, VARIANTS
from tests.bench.failover_modes import Modes
from tests.bench.failover_run import Run
from tests.support.labs import Site, operators_network


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bootstrap bench failover", description=__doc__)
    parser.add_argument("--lab", metavar="NAME", help="a lab that is up and deployed; default: the only one")
    parser.add_argument("--runs", type=int, default=10, help="rounds over the whole matrix (default: 10)")
    parser.add_argument(
        "--alone-every", type=int, default=1, metavar="N", help="Patroni alone in each Nth round"
    )
    parser.add_argument("--seed", type=int, default=20261122)
    parser.add_argument("--case", action="append", choices=CASES, help="only this; may be given again")
    parser.add_argument("--variant", action="append", choices=VARIANTS, help="only this; may be given again")
    parser.add_argument("--out", type=Path, default=Path("build/failover"), metavar="FOLDER")
    parser.add_argument(
        "--report", action="store_true", help="no runs: only tables and plot of what is there"
    )
    parser.add_argument("--docs", type=Path, metavar="FOLDER", help="put tables, plot and raw data there too")
    return parser.parse_args(words)


def schedule(
    asked: argparse.Namespace, chance: random.Random, *, fast: bool = False
) -> list[tuple[str, str]]:
    """Rounds, each with every wanted cell once in an order of its own: stopped early, all have as many runs.

    A round goes through the ways of running in a random order, and within each through the faults: changing
    the way takes longer than most runs. Patroni alone takes many times longer and varies little: it comes in
    each `--alone-every`th round only. `fast`: the lab has that profile, and the others cannot be had in it.
    """
    cells = [
        (case, variant)
        for case, variant in PLAN
        if case in (asked.case or CASES)
        and variant in (asked.variant or VARIANTS)
        and VARIANTS[variant].fast == fast
    ]
    order: list[tuple[str, str]] = []
    for number in range(asked.runs):
        alone = number % asked.alone_every == 0
        for way in chance.sample(list(VARIANTS), len(VARIANTS)):
            mine = [cell for cell in cells if cell[1] == way and (alone or VARIANTS[way].hactl)]
            order += chance.sample(mine, len(mine))
    return order


def main(words: Sequence[str]) -> None:
    asked = arguments(words)
    raw = asked.out / "raw.jsonl"
    asked.out.mkdir(parents=True, exist_ok=True)
    if not asked.report:
        lab = Lab.open(only_lab(LABS, asked.lab))
        with operators_network(lab):
            _measure(asked, Site(lab, asked.out / "histories"), raw)
    failover_report.write(raw, asked.out)
    if asked.docs:
        failover_report.publish(raw, asked.docs)
    sys.stdout.write((asked.out / "failover.md").read_text(encoding="utf-8"))


def _measure(asked: argparse.Namespace, site: Site, raw: Path) -> None:
    chance = random.Random(asked.seed)  # noqa: S311 - not for secrets
    fast = site.lab.spec.fencing.lease < STEADY
    modes, order = Modes(site), schedule(asked, chance, fast=fast)
    try:
        for number, (case, variant) in enumerate(order, 1):
            head = {"seed": asked.seed, "number": number, "at": datetime.now(UTC).isoformat(), **machine()}
            try:
                record = Run(modes, CASES[case], VARIANTS[variant], chance).once()
            except HactlError as error:  # this run says nothing; the next one may
                record = {"case": case, "variant": variant, "error": error.message}
                modes.now = None
                faults.heal(site.lab)
            with raw.open("a", encoding="utf-8") as out:
                out.write(json.dumps({**head, **record}) + "\n")
            sys.stderr.write(f"{number}/{len(order)} {failover_report.line(record)}\n")
    finally:
        modes.leave()


def machine() -> dict[str, object]:
    return {
        "hactl": __version__,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 2),
    }
