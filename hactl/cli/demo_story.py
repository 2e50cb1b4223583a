"""The demo's chapters: images in, power off, recovery, power on, everything read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from hactl.adapters.command import run
from hactl.cli.labdrill import primary_of
from hactl.drill import dicom_net, images
from hactl.drill.board import Board
from hactl.drill.checker import Judgment
from hactl.drill.history import Outcome
from hactl.drill.imageload import send
from hactl.drill.session import Session
from hactl.errors import HactlError, StepFailed, Unreachable
from hactl.lab.lab import Lab
from hactl.pki.store import Store

if TYPE_CHECKING:
    from hactl.cli.demo_view import Screen

Status = Callable[[], dict[str, Any]]

BACK_WITHIN = 120.0  # seconds for VIP and database: hactl takes 2 to 5, Patroni and keepalived alone about 25
REJOIN_WITHIN = 180.0  # seconds for a boot, a rewind and streaming
HEALTHY_WITHIN = 90.0
CALM = 4.0  # seconds of undisturbed writing before and after


class Story:
    """Each chapter raises StepFailed when what must happen does not happen in time."""

    def __init__(self, lab: Lab, session: Session, screen: Screen, status: Status) -> None:
        self._lab = lab
        self._session = session
        self._screen = screen
        self._status = status
        self._board = Board(time.monotonic(), told=screen.hear)
        session.history.listeners.append(self._board.event)

    def store(self, count: int) -> tuple[images.Image, ...]:
        """Images into the archive through its VIP, each acknowledged."""
        made = images.make(self._session.run, count)
        archive = self._session.ground.archive
        self.until("the archive answers C-ECHO", partial(answers, archive), HEALTHY_WITHIN)
        with self._screen.counting("images stored through the archive VIP", count) as progress:
            for image in made:
                stored = send(archive, image, self._session.history)
                if stored.outcome is not Outcome.OK:
                    raise StepFailed(f"the archive did not take image {image.number + 1}: {stored.why}")
                progress.advance(progress.task_ids[0])
        return made

    def lose_and_regain(self) -> None:
        """The primary's host loses its power under load and gets it back after the failover."""
        with self._screen.live(self._board), self._session.running():
            time.sleep(CALM)
            victim = primary_of(self._lab)
            with self._powered_again(victim) as power_on:
                fault = self._session.fault(victim, lambda: self._lab.power_off(victim))
                self._recovered(since=fault.end)
                time.sleep(CALM)
                self._session.heal(victim, power_on)
            self.until(f"{victim} streams again", lambda: streams(self._status(), victim), REJOIN_WITHIN)
            self._session.history.note(f"{victim} streams again as synchronous standby")
            time.sleep(CALM)

    def _recovered(self, since: float) -> None:
        try:
            self._session.acknowledged(1, within=BACK_WITHIN, since=since)
        except Unreachable as error:
            raise StepFailed(error.message, last_done="the power was cut", hint="hactl status") from error

    @contextmanager
    def _powered_again(self, victim: str) -> Iterator[Callable[[], None]]:
        """Hands out how to power on by the BMC; on any error the lab does it, so that nothing stays off."""
        try:
            yield lambda: bmc_power_on(self._lab, victim)
        except BaseException:
            self._lab.power_on(victim, wait=False)
            raise

    def read_back(self, made: tuple[images.Image, ...]) -> Judgment:
        """Every image and every row, then the verdict."""
        with self._screen.counting("images read back and compared", len(made)) as progress:
            found = self._session.images(made, lambda: progress.advance(progress.task_ids[0]))
        return self._session.verdict(found)

    def healthy(self) -> None:
        self.until(
            "the installation is healthy", lambda: self._status()["verdict"] == "healthy", HEALTHY_WITHIN
        )

    def until(self, what: str, true: Callable[[], bool], within: float) -> None:
        """Asks once a second; an error of asking counts as not yet. Raises StepFailed."""
        deadline, why = time.monotonic() + within, ""
        while True:
            try:
                if true():
                    return
            except HactlError as error:
                why = f": {error.message}"
            if time.monotonic() >= deadline:
                raise StepFailed(f"not within {within:g} s: {what}{why}", hint="hactl status")
            time.sleep(1)


def answers(archive: dicom_net.Archive) -> bool:
    """Raises Refused, Unreachable or StepFailed when it does not."""
    dicom_net.echo(archive)
    return True


def streams(status: dict[str, Any], node: str) -> bool:
    """Whether status calls the node a synchronous standby."""
    members = {m["name"]: m for m in status["database"]["members"]}
    member = members.get(node, {})
    return bool(
        member.get("role") == "standby"
        and member.get("state") == "streaming"  # "running": it is up, and waits for the primary's WAL
        and member.get("sync")
    )


def bmc_power_on(lab: Lab, node: str) -> None:
    """As an operator would: IPMI to the machine's BMC. Without one, the lab's own switch.

    Raises StepFailed or Unreachable.
    """
    bmc = lab.topology.machine(node).bmc
    if bmc is None:
        lab.power_on(node, wait=False)
        return
    argv = [
        "ipmitool",
        "-I",
        "lanplus",
        "-H",
        str(bmc.cable.address),
        "-U",
        "hactl",
        "-E",
        "chassis",
        "power",
        "on",
    ]
    password = Store(lab.site.state).secrets().bmc.value
    run(argv, within=30, env={"IPMITOOL_PASSWORD": password})  # -E: not in argv, where everybody can read it
