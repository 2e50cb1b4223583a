"""Probes of hosts: one thread and at most one open question for each path, so a stuck one holds up nobody."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Final, Protocol

from hactl.controller.samples import Samples
from hactl.errors import Unreachable
from hactl.metrics.instruments import Instruments
from hactl.ports import Clock
from hactl.view.control import Path, PathState

WITHIN: Final = 0.2
_NEVER: Final = PathState(0, None)


class Question(Protocol):
    def ask(self, within: float) -> object:
        """Any answer is a sign of life. Raises Unreachable."""


@dataclasses.dataclass(frozen=True)
class Probe:
    node: str
    path: Path
    question: Question
    samples: Samples
    clock: Clock
    instruments: Instruments

    def once(self) -> None:
        """One question; what came of it is in the samples."""
        asked = self.clock.monotonic()
        before = self.samples.path_of(self.node, self.path) or _NEVER
        try:
            self.question.ask(WITHIN)
        except Unreachable as error:
            state = PathState(before.misses + 1, before.last_ok, error.message)
        else:
            state = PathState(0, asked)
        self.instruments.probe(self.path, self.node, self.clock.monotonic() - asked)
        self.samples.path(self.node, self.path, state)

    def run(self, pace: Callable[[], float], stop: threading.Event) -> None:
        """Until `stop`. A question that took long is followed by the next one at once."""
        while not stop.is_set():
            asked = self.clock.monotonic()
            self.once()
            stop.wait(max(0.0, asked + pace() - self.clock.monotonic()))
