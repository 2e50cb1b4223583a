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
WITHIN_IN_INCIDENT: Final = 0.7  # a first packet lost while the VIP was away is sent again only after 1 s
PLACES: Final = 8  # beats under way at once, in an incident


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
        self._places = threading.BoundedSemaphore(PLACES)

    def once(self, *, incident: bool) -> None:
        asked = self._clock.monotonic()
        try:
            beat = self._heart.beat(WITHIN_IN_INCIDENT if incident else WITHIN)
        except Unreachable as error:
            self._samples.heartbeat(_missed(error, asked))
        else:
            now = self._clock.monotonic()
            self._samples.heartbeat(lambda was: _good(was, beat, now))
        self._instruments.probe("heartbeat", "vip", self._clock.monotonic() - asked)

    def run(self, active: Callable[[], bool], incident: Callable[[], bool], stop: threading.Event) -> None:
        """Only the active controller's heart beats. In an incident no beat waits for the one before it."""
        due = self._clock.monotonic()
        while not stop.wait(max(0.0, min(due - self._clock.monotonic(), EVERY_IN_INCIDENT))):
            hasty = incident()
            now = self._clock.monotonic()
            if now < due and not hasty:
                continue
            due = now + (EVERY_IN_INCIDENT if hasty else EVERY)
            if not active():
                self._samples.heartbeat(lambda _: Heartbeat())
            elif hasty:
                self._at_once()
            else:
                self.once(incident=False)

    def _at_once(self) -> None:
        """In a thread of its own; not more of them than places."""
        if self._places.acquire(blocking=False):
            threading.Thread(target=self._hasty, name="heartbeat now", daemon=True).start()

    def _hasty(self) -> None:
        try:
            self.once(incident=True)
        finally:
            self._places.release()


def _good(was: Heartbeat, beat: Beaten, now: float) -> Heartbeat:
    again = was.node == beat.node and not was.misses
    return Heartbeat(0, now, beat.node, beat.took, since=was.since if again else now)


def _missed(error: Unreachable, asked: float) -> Callable[[Heartbeat], Heartbeat]:
    reached = getattr(error, "reached", None)

    def news(was: Heartbeat) -> Heartbeat:
        if was.last_ok is not None and was.last_ok > asked:
            return was  # a later one came through meanwhile
        return dataclasses.replace(was, misses=was.misses + 1, why=error.message, reached=reached, took=None)

    return news
