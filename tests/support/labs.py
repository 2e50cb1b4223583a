"""The lab of the acceptance tests: brought up and deployed once, healthy before and after each test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hactl.cli.context import Context
from hactl.cli.demo_story import bmc_power_on
from hactl.cli.labdrill import lab_ground, primary_of
from hactl.cli.status import looker
from hactl.drill import report
from hactl.drill.checker import Judgment
from hactl.drill.ground import Ground
from hactl.drill.history import History, Outcome, Store
from hactl.drill.imageload import ImageLoad
from hactl.drill.session import Session
from hactl.lab import netns
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab
from tests.support.violation import Violation

NAME = os.environ.get("HACTL_TEST_LAB", "accept")
HEALTHY_WITHIN = 180.0  # seconds; a boot of five machines, an election, a rewind
OUTAGE = "I6"  # the checker's name for an outage that is too long, or has no end
UP_WITHIN = 1500.0  # seconds; cold, with a Debian image to make and wheels to build


def bring_up() -> Lab:
    """Runs what a user would run. A failing test says the last line of what it said."""
    argv = [sys.executable, "-m", "hactl", "lab", "up", "--name", NAME]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=UP_WITHIN, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith(("hactl:", "  "))]
        pytest.fail(
            "the lab did not come up: " + " ".join(said or done.stderr.splitlines()[-3:]), pytrace=False
        )
    return Lab.open(LABS / NAME)


def take_down() -> None:
    argv = [sys.executable, "-m", "hactl", "lab", "down", "--name", NAME]
    subprocess.run(argv, capture_output=True, timeout=120, check=True)


@dataclass(frozen=True)
class Site:
    """A lab and how its operator sees it. Use its methods in the operator's network only (fixture `site`)."""

    lab: Lab
    folder: Path  # where this test's histories are kept

    @property
    def ground(self) -> Ground:
        return lab_ground(self.lab)

    def status(self) -> dict[str, Any]:
        context = Context(self.lab.spec, self.lab.folder.spec, self.lab.site, "json", 0)
        return looker(context)()

    def until(
        self, what: str, true: Callable[[dict[str, Any]], bool], within: float = HEALTHY_WITHIN
    ) -> dict[str, Any]:
        deadline = time.monotonic() + within
        while True:
            status = self.status()
            if true(status):
                return status
            reasons = "; ".join(f"{r['code']} {r['subject']}: {r['detail']}" for r in status["reasons"])
            assert time.monotonic() < deadline, (
                f"not {what} within {within:g} s: {status['verdict']}: {reasons}"
            )
            time.sleep(0.5)

    def healthy(self, within: float = HEALTHY_WITHIN) -> dict[str, Any]:
        return self.until("healthy", lambda status: bool(status["verdict"] == "healthy"), within)

    @property
    def primary(self) -> str:
        return primary_of(self.lab)

    @property
    def standby(self) -> str:
        primary = self.primary
        return next(node for node in self.lab.spec.databases if node != primary)

    def session(self, name: str) -> Session:
        run = f"{name}-{time.time_ns()}"
        return Session(self.ground, History.create(self.folder / f"{run}.jsonl"), run)

    def power_on(self, node: str) -> None:
        """By its BMC where it has one."""
        bmc_power_on(self.lab, node)

    @contextmanager
    def sending(self, session: Session, every: float = 0.5) -> Iterator[ImageLoad]:
        """A modality stores images through the archive VIP inside the block."""
        load = ImageLoad(session.ground.archive, session.run, session.history, every=every)
        load.start()
        try:
            yield load
        finally:
            load.stop()


def stored(session: Session, count: int, *, since: float, within: float) -> None:
    """Waits for that many acknowledged C-STOREs begun after `since`."""
    deadline = time.monotonic() + within
    while True:
        seen = [e for e in session.history.snapshot() if isinstance(e, Store) and e.begin >= since]
        if sum(e.outcome is Outcome.OK for e in seen) >= count:
            return
        why = seen[-1].why if seen else "none was tried"
        assert time.monotonic() < deadline, f"no C-STORE was acknowledged within {within:g} s: {why}"
        time.sleep(0.2)


def clean(session: Session, images: dict[str, str] | None = None, *, limit: float | None = None) -> Judgment:
    """The verdict, which must be clean; kept beside its history, and printed for the test's output.

    Raises Violation: not clean, and not only because the outage was too long.
    """
    verdict = session.verdict(images, limit=limit)
    report.save(verdict, session.history.path)
    print("\n".join(report.lines(verdict)))  # noqa: T201 - pytest shows it when the test fails, or with -rP
    told = "\n".join(map(str, verdict.findings))
    if any(finding.invariant != OUTAGE for finding in verdict.findings):
        raise Violation(told)
    assert verdict.clean, told
    return verdict


@contextmanager
def operators_network(lab: Lab) -> Iterator[None]:
    with netns.entered(lab.topology.ops_netns):
        yield
