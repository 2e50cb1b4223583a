"""A switchover by hand: a checkpoint, then Patroni is asked; the outage is measured as clients feel it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from hactl.errors import HactlError, StepFailed, Unreachable
from hactl.ports import Clock

# PostgreSQL's last checkpoint lies within the outage. It is short if there was one a moment ago.
SHORT: Final = 1.0  # s
CHECKPOINTS: Final = 3
WARM: Final = 10.0  # s until a first commit is seen; none: nothing is begun
TAKEN: Final = 30.0  # s from Patroni's answer to the first commit on the new primary
POLL: Final = 0.02


@dataclass(frozen=True)
class Means:
    """`checkpoint`: one on the primary. `ask`: Patroni; returns when it says that it is done.

    `commit`: one by a new connection through the VIP, answers which node took it. All raise HactlError.
    """

    checkpoint: Callable[[], None]
    ask: Callable[[], None]
    commit: Callable[[], str]
    clock: Clock
    say: Callable[[str], None]


@dataclass(frozen=True)
class Switched:
    """`outage`: the longest time without an acknowledged commit, in seconds. `commits`: how many."""

    outage: float
    commits: int


class Watch:
    """New connections through the VIP, one after the other, for as long as the block lasts."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._stop = threading.Event()
        self._seen: list[tuple[float, str]] = []
        self._thread = threading.Thread(target=self._run, name="commits", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(POLL):
            try:
                node = self._means.commit()
            except HactlError:
                continue
            self._seen.append((self._means.clock.monotonic(), node))

    def taken_by(self, node: str | None, within: float) -> bool:
        """Whether a commit was acknowledged (by `node`) before the time was up."""
        end = self._means.clock.monotonic() + within
        while self._means.clock.monotonic() < end:
            if any(node in {None, by} for _, by in self._seen):
                return True
            self._stop.wait(POLL)
        return False

    def goes_on(self, within: float) -> bool:
        """Whether another commit is acknowledged before the time is up."""
        seen, end = len(self._seen), self._means.clock.monotonic() + within
        while self._means.clock.monotonic() < end:
            if len(self._seen) > seen:
                return True
            self._stop.wait(POLL)
        return False

    def switched(self) -> Switched:
        times = [at for at, _ in self._seen]
        return Switched(max((b - a for a, b in pairwise(times)), default=0.0), len(times))


def switch(means: Means, target: str) -> Switched:
    """Raises Unreachable: nothing was begun. StepFailed: Patroni did not do it, or nothing is served."""
    checkpoints(means)
    with Watch(means) as watch:
        if not watch.taken_by(None, WARM):
            raise Unreachable(
                "no commit gets through the database VIP: nothing was begun", hint="hactl status"
            )
        means.say(f"Patroni is asked to make {target} the primary")
        means.ask()
        if not watch.taken_by(target, TAKEN):
            raise StepFailed(
                f"no commit gets through to {target}",
                last_done=f"Patroni says that {target} is the primary",
                hint="hactl status; hactl doctor",
            )
        return watch.switched()


def in_place(means: Means, restart: Callable[[], None], within: float) -> Switched:
    """The primary's PostgreSQL stopped and started where it is; measured as a switchover is.

    Raises Unreachable: nothing was begun. StepFailed: it was not done, or nothing is served afterwards.
    """
    checkpoints(means)
    with Watch(means) as watch:
        if not watch.taken_by(None, WARM):
            raise Unreachable(
                "no commit gets through the database VIP: nothing was begun", hint="hactl status"
            )
        restart()
        if not watch.goes_on(within):
            raise StepFailed(
                "no commit gets through the database VIP",
                last_done="Patroni says that PostgreSQL was restarted",
                hint="hactl status; hactl doctor",
            )
        return watch.switched()


def checkpoints(means: Means) -> None:
    """Until one is short. Without any the switchover is as safe, and the outage may be longer."""
    for _ in range(CHECKPOINTS):
        begin = means.clock.monotonic()
        try:
            means.checkpoint()
        except HactlError as error:
            means.say(f"no checkpoint beforehand: {error.message}")
            return
        took = means.clock.monotonic() - begin
        means.say(f"checkpoint: {took:.1f} s")
        if took < SHORT:
            return
