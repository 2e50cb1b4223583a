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
class Measure:
    what: str
    goal: str
    runs: int
    once: Callable[[], float]


def _timed(*argv: str) -> float:
    begin = time.monotonic()
    subprocess.run([HACTL, *argv], check=True, timeout=LIMIT, stdout=subprocess.DEVNULL)
    return time.monotonic() - begin


def _help() -> float:
    return _timed("--help")


def _status() -> float:
    return _timed("status")


def _lab_up_warm() -> float:
    _timed("lab", "down")
    return _timed("lab", "up", "--no-deploy")


def _first_deploy() -> float:
    _lab_up_warm()
    return _timed("deploy")


def _second_deploy() -> float:
    return _timed("deploy")


def _demo() -> tuple[float, float]:
    """Whole time and outage, seconds."""
    begin = time.monotonic()
    argv = [HACTL, "-o", "json", "demo"]
    done = subprocess.run(argv, check=True, timeout=LIMIT, stdout=subprocess.PIPE, encoding="utf-8")
    return time.monotonic() - begin, json.loads(done.stdout)["outage"]["recovery"]


def _demo_warm() -> float:
    _timed("lab", "down")
    return _demo()[0]


def _host_loss() -> float:
    return _demo()[1]


# In this order each finds what it needs: from `deploy` on a lab is up and deployed.
MEASURES = {
    "help": Measure("`hactl --help`", "≤ 0.15 s", 20, _help),
    "lab-up": Measure("`hactl lab up --no-deploy`, image cached", "≤ 90 s", 3, _lab_up_warm),
    "deploy": Measure("`hactl deploy` into five new machines", "≤ 150 s", 3, _first_deploy),
    "deploy-again": Measure("`hactl deploy`, nothing to do", "none", 3, _second_deploy),
    "status": Measure("`hactl status`, healthy lab", "≤ 0.5 s", 20, _status),
    "demo": Measure("`hactl demo`, image and wheels cached, no lab before", "none", 3, _demo_warm),
    "host-loss": Measure("outage when the primary's host loses power", "about 25 s", 5, _host_loss),
}
