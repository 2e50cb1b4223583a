"""The heartbeat: commits through the database VIP, as a new client would make them."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Final, Protocol

from hactl.controller.samples import Samples
from hactl.errors import Unreachable
from hactl.metrics.instruments import Instruments
from hactl.ports import Clock
from hactl.view.control import Heartbeat

EVERY: Final = 1.0
WITHIN: Final = 1.0
EVERY_IN_INCIDENT: Final = 0.1
WITHIN_IN_INCIDENT: Final = 0.5  # a first packet lost while the VIP was away is sent again only after 1 s


class Beaten(Protocol):
    @property
    def node(self) -> str: ...

    @property
    def took(self) -> float: ...


class Heart(Protocol):
    def beat(self, within: float) -> Beaten:
        """Raises Unreachable; its attribute `reached`, if there, says whether TCP got through."""


class Beats:
    def __init__(self, heart: Heart, samples: Samples, clock: Clock, instruments: Instruments) -> None:
        self._heart, self._samples, self._clock, self._instruments = heart, samples, clock, instruments

    def once(self, *, incident: bool) -> None:
        asked = self._clock.monotonic()
        try:
            beat = self._heart.beat(WITHIN_IN_INCIDENT if incident else WITHIN)
        except Unreachable as error:
            self._samples.heartbeat(_missed(error))
        else:
            now = self._clock.monotonic()
            self._samples.heartbeat(lambda _: Heartbeat(0, now, beat.node, beat.took))
        self._instruments.probe("heartbeat", "vip", self._clock.monotonic() - asked)

    def run(self, active: Callable[[], bool], incident: Callable[[], bool], stop: threading.Event) -> None:
        """Only the active controller's heart beats; it beats quickly while an incident is open."""
        while not stop.is_set():
            asked = self._clock.monotonic()
            if active():
                self.once(incident=incident())
            else:
                self._samples.heartbeat(lambda _: Heartbeat())
            every = EVERY_IN_INCIDENT if incident() else EVERY
            while not stop.wait(min(EVERY_IN_INCIDENT, every)):
                every = EVERY_IN_INCIDENT if incident() else EVERY
                if self._clock.monotonic() >= asked + every:
                    break


def _missed(error: Unreachable) -> Callable[[Heartbeat], Heartbeat]:
    reached = getattr(error, "reached", None)
    return lambda was: dataclasses.replace(
        was, misses=was.misses + 1, why=error.message, reached=reached, took=None
    )
