"""Switching a node on again: never while something still switches it off, and only if it reads as off."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from typing import Final, Protocol

from hactl.errors import HactlError
from hactl.ports import Clock
from hactl.view.control import FenceRun
from hactl.view.model import Unknown

ENDS: Final = 3.0  # for a fence agent that was called off to be gone
ON_WITHIN: Final = 8.0
STATUS_WITHIN: Final = 4.0
READS: Final = 15.0  # for the status to say `on`
PAUSE: Final = 0.5
SETTLES: Final = 5.0  # a machine that was just told `off` may still read as on


class Switch(Protocol):
    def power(self, *, within: float) -> str: ...

    def switch_on(self, *, within: float) -> str: ...

    def call_off(self) -> None: ...

    def allow(self) -> None: ...


class PowerOnRun:
    """One try, in a thread of its own. What it reads counts: `power` is `on` when it has worked."""

    def __init__(self, device: Switch, clock: Clock, tell: Callable[[FenceRun], None], run: FenceRun) -> None:
        self._device, self._clock, self._tell, self._run = device, clock, tell, run
        self.over = threading.Event()

    def work(self, cut_ended: Callable[[float], bool], still: Callable[[], bool]) -> None:
        """`cut_ended` waits for the end of what was to switch it off, for so many seconds at most."""
        said = self._work(cut_ended, still)
        self.over.set()
        self._say(ended=True, said=said)

    def _work(self, cut_ended: Callable[[float], bool], still: Callable[[], bool]) -> str:
        if not cut_ended(ENDS):
            return "the fence agent that was to switch it off does not end"
        self._device.allow()
        if self.over.is_set():
            self._device.call_off()
            return "called off"
        power = self._read_before()
        if isinstance(power, Unknown):
            return f"its power cannot be read: {power.why}"
        if power == "on":
            return "it is on already"
        if self.over.is_set() or not still():
            return "called off"
        try:
            said = self._device.switch_on(within=ON_WITHIN)
        except HactlError as error:  # it may have worked for all that
            said = error.message
        return self._read_until_on(said)

    def _read_before(self) -> str | Unknown:
        until = self._clock.monotonic() + SETTLES
        while (power := self._read()) != "off":
            if self._clock.monotonic() >= until or self.over.wait(PAUSE):
                break
        return power

    def _read_until_on(self, said: str) -> str:
        until = self._clock.monotonic() + READS
        while (power := self._read()) != "on":
            if self._clock.monotonic() >= until or self.over.wait(PAUSE):
                why = power.why if isinstance(power, Unknown) else f"power is {power}"
                return f"{why}, {said}"
        return f"switched on again: {said}"

    def _read(self) -> str | Unknown:
        asked = self._clock.monotonic()
        try:
            power: str | Unknown = self._device.power(within=STATUS_WITHIN)
        except HactlError as error:
            power = Unknown(error.message)
        self._say(power=power, read=asked)
        return power

    def _say(self, **news: object) -> None:
        self._run = dataclasses.replace(self._run, **news)  # type: ignore[arg-type]
        self._tell(self._run)
