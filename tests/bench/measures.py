"""The measures: what is timed, what the goal is, how often."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HACTL = str(Path(sys.executable).with_name("hactl"))
LIMIT = 1800.0  # seconds; nothing measured here may take longer


@dataclass(frozen=True)
class Figure:
    what: str
    goal: str


@dataclass(frozen=True)
class Measure:
    """`once` gives seconds by the names of `FIGURES`; `runs` how often it is asked by default."""

    runs: int
    once: Callable[[], dict[str, float]]


FIGURES = {
    "help": Figure("`hactl --help`", "≤ 0.15 s"),
    "lab-up": Figure("`hactl lab up --no-deploy`, image cached", "≤ 90 s"),
    "deploy": Figure("`hactl deploy` into five new machines, wheels cached", "≤ 150 s"),
    "deploy-again": Figure("`hactl deploy`, nothing to do", "none"),
    "status": Figure("`hactl status`, healthy lab", "≤ 0.5 s"),
    "demo": Figure("`hactl demo`, image and wheels cached, no lab before", "none"),
    "host-loss": Figure("outage when the primary's host loses power", "about 25 s"),
}


def _timed(*argv: str) -> float:
    begin = time.monotonic()
    subprocess.run([HACTL, *argv], check=True, timeout=LIMIT, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def _help() -> dict[str, float]:
    return {"help": _timed("--help")}


def _status() -> dict[str, float]:
    return {"status": _timed("status")}


def _deploy() -> dict[str, float]:
    _timed("lab", "down")
    return {"lab-up": _timed("lab", "up", "--no-deploy"), "deploy": _timed("deploy")}


def _deploy_again() -> dict[str, float]:
    return {"deploy-again": _timed("deploy")}


def _demo() -> dict[str, float]:
    _timed("lab", "down")
    begin = time.monotonic()
    argv = [HACTL, "-o", "json", "demo"]
    done = subprocess.run(argv, check=True, timeout=LIMIT, stdout=subprocess.PIPE, encoding="utf-8")
    return {"demo": time.monotonic() - begin, "host-loss": json.loads(done.stdout)["outage"]["recovery"]}


# In this order each finds what it needs: from `deploy` on a lab is up and deployed.
MEASURES = {
    "help": Measure(20, _help),
    "deploy": Measure(3, _deploy),
    "deploy-again": Measure(3, _deploy_again),
    "status": Measure(20, _status),
    "demo": Measure(3, _demo),
}
