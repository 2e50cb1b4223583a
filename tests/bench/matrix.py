"""`./bootstrap faults`, `./bootstrap soak`: every scenario alone; or random ones, in pairs, at bad moments.

Each trial is one line of trials.jsonl, written when it is over, its history and verdict beside it. The order
comes from the seed, so a series that was interrupted goes on where it was. What a seed draws depends on the
list of scenarios too: `--replay` has the trials of a file again as they were.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any, Final

import psycopg2

from hactl.cli.context import Context
from hactl.errors import HactlError
from hactl.lab import faults
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab, only_lab
from tests.bench import matrix_report
from tests.bench.failover import machine
from tests.bench.matrix_plan import Trial, Way, recorded, singles, soak
from tests.bench.matrix_run import run
from tests.support.labs import operators_network

MOST: Final = 100_000  # trials of one soak: no series is without end
UNJUDGED: Final = (HactlError, psycopg2.Error, OSError, subprocess.SubprocessError)


def arguments(words: Sequence[str], kind: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=f"./bootstrap {kind}", description=__doc__)
    parser.add_argument("--lab", metavar="NAME", help="a lab that is up and deployed; default: the only one")
    parser.add_argument("--seed", type=int, default=1, help="of order, pairs and times (default: 1)")
    parser.add_argument("--out", type=Path, default=Path(f"build/{kind}"), metavar="FOLDER")
    parser.add_argument("--only", type=int, action="append", metavar="N", help="trial N; may be given again")
    parser.add_argument("--match", metavar="PATTERN", help="trials whose name fits, such as '*archive/*'")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="the trials of its lines, not the seed's")
    parser.add_argument("--again", action="store_true", help="also those that the series has already")
    parser.add_argument("--list", action="store_true", help="say what would be run, run nothing")
    usual = 1.0
    parser.add_argument(
        "--hours", type=float, default=usual, help=f"begin nothing after this (default: {usual:g})"
    )
    if kind == "soak":
        parser.add_argument("--way", choices=[w.value for w in Way], help="only trials of this kind")
        parser.add_argument("--count", type=int, default=MOST, help="at most so many trials")
    return parser.parse_args(words)


def chosen(asked: argparse.Namespace, kind: str, done: frozenset[str]) -> list[Trial]:
    """What is to be run, in its order. `done`: names of what the series has already."""
    every: Iterable[Trial] = singles(asked.seed) if kind == "faults" else islice(soak(asked.seed), MOST)
    if asked.replay:
        every, done = [recorded(r) for r in records(asked.replay) if r["kind"] == kind], frozenset()
    found = (
        t
        for t in every
        if (not asked.only or t.number in asked.only)
        and (not asked.match or fnmatchcase(t.name, asked.match))
        and (asked.again or t.name not in done)
        and (kind == "faults" or not asked.way or t.way == asked.way)
    )
    limit = max(asked.only) if asked.only and kind == "soak" and not asked.replay else None
    if limit:  # a soak is long: nobody looks beyond the last one asked for
        return [t for t in islice(soak(asked.seed), limit) if t.number in asked.only]
    return list(islice(found, getattr(asked, "count", MOST) if kind == "soak" else MOST))


def records(raw: Path) -> list[dict[str, Any]]:
    """A last line without its newline is what an interrupted run leaves."""
    if not raw.exists():
        return []
    return [json.loads(line) for line in raw.read_text(encoding="utf-8").split("\n")[:-1]]


def main(kind: str, words: Sequence[str]) -> None:
    asked = arguments(words, kind)
    raw = asked.out / "trials.jsonl"
    mine = [r for r in records(raw) if (r["kind"], r["seed"]) == (kind, asked.seed)]
    done = frozenset(r["trial"] for r in mine if "error" not in r)
    trials = chosen(asked, kind, done) or chosen(
        asked, kind, frozenset()
    )  # a series that is whole begins anew
    if asked.list:
        sys.stdout.write("".join(f"{t.number:>5}  {t.name}\n" for t in trials[:1000]))
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    lab = Lab.open(only_lab(LABS, asked.lab))
    deadline, left = time.monotonic() + asked.hours * 3600, len(trials)
    with operators_network(lab):
        context = Context(lab.spec, lab.folder.spec, lab.site, "table", 0)
        for trial in trials:
            if time.monotonic() >= deadline or not _one(lab, context, trial, kind, asked):
                break
            left -= 1
    said = records(raw)
    page = matrix_report.table(said)
    (asked.out / "matrix.md").write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    code = matrix_report.code([r for r in said if (r["kind"], r["seed"]) == (kind, asked.seed)])
    if left and kind == "faults":  # a soak has no end but its time
        sys.stderr.write(f"{left} trials were not run; the same command goes on with them\n")
        code = code or matrix_report.STEP_FAILED
    sys.exit(code)


def _one(lab: Lab, context: Context, trial: Trial, kind: str, asked: argparse.Namespace) -> bool:
    """Runs a trial and keeps what came of it. Whether the lab is fit for another one."""
    head = {
        "kind": kind, "seed": asked.seed, "number": trial.number, "way": trial.way, "trial": trial.name,
        "first": trial.first, "second": trial.second, "gap": trial.gap, "between": trial.between,
        "at": datetime.now(UTC).isoformat(timespec="seconds"), **machine(),
    }  # fmt: skip
    sys.stderr.write(f"--- trial {trial.number} of seed {asked.seed}: {trial.name}\n")
    going_on = True
    try:
        found = run(lab, context, trial, asked.out / "histories")
    except UNJUDGED as error:  # this trial says nothing; the next one may
        said = error.message if isinstance(error, HactlError) else str(error)
        found = {"scenario": trial.name, "error": said, "vetoes": list(getattr(error, "vetoes", ()))}
        going_on = _healed(lab) and not said.startswith("not fit")
    with (asked.out / "trials.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps({**head, **found}) + "\n")
    sys.stderr.write(f"--- {matrix_report.line({**head, **found})}\n")
    return going_on


def _healed(lab: Lab) -> bool:
    """Whether all faults could be undone: a machine may not come up again."""
    try:
        faults.heal(lab)
    except UNJUDGED as error:
        sys.stderr.write(f"--- not healed: {error}\n")
        return False
    return True
