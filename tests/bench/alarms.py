"""`./bootstrap bench alarms`: what hactl does when nothing is broken, but everything is bad.

Some of what each machine sends and gets is lost, all cores are busy, etcd elects again and again, and
between two elections the wall clock of hactl and Patroni jumps everywhere. Whatever hactl undertakes in that
time is a false alarm, except for moving etcd's leader back. Clients write through the virtual IP all the
while, and their history is judged as after a fault.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from hactl.drill.history import Outcome
from hactl.drill.needless import moved
from hactl.drill.outage import longest_gap, served
from hactl.errors import HactlError
from hactl.lab import faults_clock, faults_network
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab, only_lab
from tests.bench.failover import machine
from tests.support import control
from tests.support.labs import Site, operators_network

EXPECTED: Final = frozenset({"move-etcd-leader"})
ROUND: Final = (-1, 0, 1, 0)  # how the clocks go, in parts of how far they jump
RECORDS: Final = 2000  # etcd keeps that many
BURN: Final = "import time\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: pass"


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./bootstrap bench alarms", description=__doc__)
    parser.add_argument("--lab", metavar="NAME", help="a lab that is up and deployed; default: the only one")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--loss", type=int, default=3, metavar="PERCENT",
        help="lost on each machine's cable; between two machines that is almost twice as much",
    )  # fmt: skip
    parser.add_argument("--busy", type=int, default=2, metavar="N", help="processes that use a core each")
    parser.add_argument("--elections", type=float, default=120.0, metavar="S", help="seconds between two")
    parser.add_argument(
        "--clock", type=int, default=300, metavar="S", help="how far the clocks jump, back and forth; 0: not"
    )
    parser.add_argument("--out", type=Path, default=Path("build/alarms"), metavar="FOLDER")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> None:
    asked = arguments(words)
    asked.out.mkdir(parents=True, exist_ok=True)
    lab = Lab.open(only_lab(LABS, asked.lab))
    with operators_network(lab):
        record = measure(asked, Site(lab, asked.out / "histories"))
    with (asked.out / "alarms.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(record) + "\n")
    sys.stdout.write(json.dumps(record, indent=1) + "\n")


def measure(asked: argparse.Namespace, site: Site) -> dict[str, Any]:
    lab = site.lab
    with _own_clocks(lab, wanted=bool(asked.clock)):
        site.healthy()
        return _measured(asked, site)


@contextlib.contextmanager
def _own_clocks(lab: Lab, *, wanted: bool) -> Iterator[None]:
    """Programs are started anew for it, which is no part of what is measured."""
    try:
        for node in lab.spec.nodes if wanted else ():
            faults_clock.own(lab, node)
        yield
    finally:
        faults_clock.heal(lab)


def _measured(asked: argparse.Namespace, site: Site) -> dict[str, Any]:
    lab = site.lab
    head = {"at": datetime.now(UTC).isoformat(), **machine(), "lease": lab.spec.fencing.lease.value}
    last, primary, session = _last(lab), site.primary, site.session("alarms")
    end = time.monotonic() + asked.minutes * 60
    with session.running(), _busy(asked.busy, asked.minutes * 60 + 60), _lossy(lab, asked.loss):
        begin = time.monotonic()
        elections, jumps = _disturb(lab, asked, end)
        over = time.monotonic()
    verdict = session.verdict()
    events = session.history.snapshot()
    writes = served(events)
    acks = [w.end for w in writes if w.outcome is Outcome.OK and begin < w.end < over]
    return {
        **head, "minutes": asked.minutes, "loss": asked.loss, "busy": asked.busy, "elections": elections,
        "clock": asked.clock, "jumps": jumps,
        "load": machine()["load"], "acts": _acts(lab, last), "same_primary": site.primary == primary,
        "moves": list(moved(events)),
        "acknowledged": len(acks), "refused": sum(w.outcome is not Outcome.OK for w in writes),
        "silence": round(longest_gap([begin, *sorted(acks), over]), 3),
        "findings": [f"{f.invariant}: {f.sentence}" for f in verdict.findings],
    }  # fmt: skip


def _disturb(lab: Lab, asked: argparse.Namespace, end: float) -> tuple[int, int]:
    """Elections and jumps of the clocks, half a period apart. How many of each."""
    elections, jumps, half = 0, 0, asked.elections / 2
    due = time.monotonic() + half
    for number in itertools.count():
        time.sleep(max(0.0, min(due, end) - time.monotonic()))
        if time.monotonic() >= end:
            return elections, jumps
        due += half
        with contextlib.suppress(HactlError):  # the next one may go through
            if number % 2 == 0:
                _move(lab, elections)
                elections += 1
            elif asked.clock:
                _turn(lab, asked.clock * ROUND[jumps % len(ROUND)])
                jumps += 1
    raise AssertionError


def _turn(lab: Lab, seconds: int) -> None:
    with ThreadPoolExecutor(len(lab.nodes)) as pool:
        list(pool.map(lambda node: faults_clock.turn(lab, node, str(seconds)), lab.spec.nodes))


def _move(lab: Lab, number: int) -> None:
    said = json.loads(control.etcdctl(lab, "endpoint", "status", "--write-out=json"))
    leader = said[0]["Status"]["leader"]
    others = sorted({s["Status"]["header"]["member_id"] for s in said} - {leader})
    holder = next(s["Endpoint"] for s in said if s["Status"]["header"]["member_id"] == leader)
    control.etcdctl(lab, f"--endpoints={holder}", "move-leader", f"{others[number % len(others)]:x}")


@contextlib.contextmanager
def _busy(count: int, seconds: float) -> Iterator[None]:
    argv = [sys.executable, "-c", BURN.format(seconds=seconds)]
    running = [subprocess.Popen(argv) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait(10)


@contextlib.contextmanager
def _lossy(lab: Lab, percent: int) -> Iterator[None]:
    try:
        for node in lab.spec.nodes:
            if percent:
                faults_network.lose(lab, node, str(percent))
        yield
    finally:
        faults_network.heal(lab)


def _last(lab: Lab) -> int:
    found = control.hactl(lab, "journal", "tail", "-n", "1")
    return int(found[-1]["seq"]) if found else 0


def _acts(lab: Lab, last: int) -> dict[str, int]:
    """What hactl undertook since, by kind; what each was about is in the journal."""
    found = control.hactl(lab, "journal", "tail", "-n", str(RECORDS))
    mine = [r for r in found if r["seq"] > last and r["kind"] == "intent" and r["action"] not in EXPECTED]
    return dict(Counter(r["action"] for r in mine))
