"""Fence agents at work: one thread cuts the power, another reads it, and only what is read counts."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from hactl.controller.samples import Samples
from hactl.errors import HactlError, Refused
from hactl.ports import Clock
from hactl.view.control import FenceRun
from hactl.view.model import Unknown

OFF_WITHIN: Final = 8.0
STATUS_WITHIN: Final = 4.0
LASTS: Final = 15.0  # then it ends without proof; deciding may start another one
TRIES: Final = 3
PAUSE: Final = 0.15  # between two reads; a BMC is slow and has one session at a time, often


class Device(Protocol):
    def power(self, *, within: float) -> str: ...

    def switch_off(self, *, within: float) -> str: ...

    def call_off(self) -> None: ...

    def allow(self) -> None: ...

    def warm(self) -> None: ...

    def cool(self) -> None: ...


class _Run:
    """One fence agent for one epoch. Its reads begin after the intent: they are asked by whom it started."""

    def __init__(self, device: Device, clock: Clock, samples: Samples, run: FenceRun) -> None:
        self._device, self._clock, self._samples = device, clock, samples
        self._lock = threading.Lock()
        self._run = run
        self.over = threading.Event()

    def read_until_off(self) -> None:
        until = self._run.started + LASTS
        while not self.over.is_set() and self._clock.monotonic() < until:
            asked = self._clock.monotonic()
            try:
                power: str | Unknown = self._device.power(within=STATUS_WITHIN)
            except HactlError as error:
                power = Unknown(error.message)
            if not self.over.is_set():
                self._tell(power=power, read=asked)
            if power == "off":
                break
            self._device.warm()  # the next read shall not wait for its program either
            self.over.wait(PAUSE)
        self._tell(ended=True)
        self.over.set()

    def cut(self, not_after: float, still: Callable[[], bool]) -> None:
        for _ in range(TRIES):
            if self.over.is_set() or self._clock.monotonic() > not_after or not still():
                return
            try:
                self._tell(said=self._device.switch_off(within=OFF_WITHIN))
            except HactlError as error:
                self._tell(said=error.message)
                self.over.wait(PAUSE)
            else:
                return

    def _tell(self, **news: object) -> None:
        with self._lock:
            if self._run.ended:
                return
            self._run = dataclasses.replace(self._run, **news)  # type: ignore[arg-type]
            self._samples.fence_run(self._run)

    @property
    def epoch(self) -> int:
        return self._run.epoch


class FenceRuns:
    """`start` and `call_off` never wait."""

    def __init__(self, devices: Mapping[str, Device], clock: Clock, samples: Samples) -> None:
        self._devices, self._clock, self._samples = devices, clock, samples
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._warm: set[str] = set()

    def start(self, node: str, epoch: int, *, not_after: float, still: Callable[[], bool]) -> None:
        device = self._devices.get(node)
        if device is None:
            raise Refused(f"the spec names no fence agent for {node}")
        with self._lock:
            before = self._runs.get(node)
            if before is not None and not before.over.is_set():
                if before.epoch == epoch:
                    return
                raise Refused(f"a fence agent for epoch {before.epoch} still works at {node}")
            device.allow()
            new = FenceRun(node, epoch, self._clock.monotonic(), Unknown("not read yet"), ended=False)
            run = self._runs[node] = _Run(device, self._clock, self._samples, new)
        self._samples.fence_run(new)
        _spawn(f"fence status {node}", run.read_until_off)
        _spawn(f"fence off {node}", lambda: run.cut(not_after, still))

    def prepare(self, suspects: Collection[str]) -> None:
        """Have the agents of these nodes started ahead, and of no others. Changes nothing at any device."""
        for node, device in self._devices.items():
            if (node in suspects) != (node in self._warm):
                warm = node in suspects
                self._warm ^= {node}
                _spawn(f"fence warm {node}", device.warm if warm else device.cool)

    def call_off(self, node: str) -> None:
        with self._lock:
            run = self._runs.get(node)
            if run is not None and not run.over.is_set():
                run.over.set()
                self._devices[node].call_off()

    def call_all_off(self) -> None:
        for node in tuple(self._runs):
            self.call_off(node)
        for node in tuple(self._warm):
            self._devices[node].cool()


def _spawn(name: str, act: Callable[[], None]) -> None:
    threading.Thread(target=act, name=name, daemon=True).start()
