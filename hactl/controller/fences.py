"""Fence agents at work: one thread cuts the power, another reads it, and only what is read counts."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from hactl.controller.power import PowerOnRun, Switch
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


class Device(Switch, Protocol):
    def switch_off(self, *, within: float, may: Callable[[], bool]) -> str: ...

    def warm(self) -> None: ...

    def cool(self) -> None: ...


class _Run:
    """One fence agent for one epoch. Its reads begin after the intent: they are asked by whom it started."""

    def __init__(self, device: Device, clock: Clock, samples: Samples, run: FenceRun) -> None:
        self._device, self._clock, self._samples = device, clock, samples
        self._lock = threading.Lock()
        self._run = run
        self._sent = threading.Event()
        self._threads: tuple[threading.Thread, ...] = ()
        self.over = threading.Event()

    def begin(self, not_after: float, still: Callable[[], bool]) -> None:
        node = self._run.node
        self._threads = (
            _spawn(f"fence status {node}", self.read_until_off),
            _spawn(f"fence off {node}", lambda: self.cut(not_after, still)),
        )

    def ended(self, within: float) -> bool:
        """Waits until nothing of it runs any more, for so many seconds at most."""
        until = self._clock.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def read_until_off(self) -> None:
        until = self._run.started + LASTS
        while not self.over.is_set() and self._clock.monotonic() < until:
            asked = self._clock.monotonic()
            try:
                power: str | Unknown = self._device.power(within=STATUS_WITHIN)
            except HactlError as error:
                power = Unknown(error.message)
            if not self.over.is_set():
                self._tell(power=power, read=asked, was_on=self._was_on(power))
            if power == "off":
                break
            self._device.warm()  # the next read shall not wait for its program either
            self.over.wait(PAUSE)
        self._tell(ended=True)
        self.over.set()

    def cut(self, not_after: float, still: Callable[[], bool]) -> None:
        """`may` is asked again at the last moment: this process may be stopped at any place before."""

        def may() -> bool:
            return not self.over.is_set() and still() and self._clock.monotonic() <= not_after

        for _ in range(TRIES):
            if not may():
                return
            try:
                said = self._device.switch_off(within=OFF_WITHIN, may=may)
            except Refused as error:
                self._tell(said=error.message)
                return
            except HactlError as error:
                self._sent.set()  # it may have worked for all that
                self._tell(said=error.message)
                self.over.wait(PAUSE)
            else:
                self._sent.set()
                self._tell(said=said)
                return

    def _was_on(self, power: str | Unknown) -> bool | Unknown:
        """Once known it stays. An `off` that is not the first reading may be our own doing."""
        if not isinstance(self._run.was_on, Unknown) or isinstance(power, Unknown):
            return self._run.was_on
        if power == "on":
            return True
        if self._run.read is not None or self._sent.is_set():
            return Unknown("it was told to switch off before its status could be read")
        return False

    def _tell(self, **news: object) -> None:
        with self._lock:
            if self._run.ended:
                return
            self._run = dataclasses.replace(self._run, **news)  # type: ignore[arg-type]
            self._samples.fence_run(self._run)

    @property
    def epoch(self) -> int:
        return self._run.epoch

    @property
    def was_on(self) -> bool | Unknown:
        return self._run.was_on


class FenceRuns:
    """`start`, `power_on` and `call_off` never wait."""

    def __init__(self, devices: Mapping[str, Device], clock: Clock, samples: Samples) -> None:
        self._devices, self._clock, self._samples = devices, clock, samples
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._ons: dict[str, PowerOnRun] = {}
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
            if node in self._ons and not self._ons[node].over.is_set():
                raise Refused(f"a fence agent still switches {node} on")
            device.allow()
            new = _new(node, epoch, self._clock)
            if before is not None and before.epoch == epoch and before.was_on is True:
                new = dataclasses.replace(new, was_on=True)
            run = self._runs[node] = _Run(device, self._clock, self._samples, new)
            self._samples.fence_run(new)
            run.begin(not_after, still)

    def power_on(self, node: str, epoch: int, *, still: Callable[[], bool]) -> None:
        """After the end of what was to switch it off; that is waited for in a thread."""
        device = self._devices.get(node)
        if device is None:
            raise Refused(f"the spec names no fence agent for {node}")
        with self._lock:
            if node in self._ons and not self._ons[node].over.is_set():
                return
            cut = self._runs.get(node)
            new = _new(node, epoch, self._clock)
            run = self._ons[node] = PowerOnRun(device, self._clock, self._samples.power_on, new)
            if cut is not None:
                self._end(node, cut.over)
        self._samples.power_on(new)
        _spawn(f"fence on {node}", lambda: run.work(cut.ended if cut else lambda _: True, still))

    def prepare(self, suspects: Collection[str]) -> None:
        """Have the agents of these nodes started ahead, and of no others. Changes nothing at any device."""
        for node, device in self._devices.items():
            if (node in suspects) != (node in self._warm):
                warm = node in suspects
                self._warm ^= {node}
                _spawn(f"fence warm {node}", device.warm if warm else device.cool)

    def call_off(self, node: str) -> None:
        with self._lock:
            for run in (self._runs.get(node), self._ons.get(node)):
                if run is not None:
                    self._end(node, run.over)

    def _end(self, node: str, over: threading.Event) -> None:
        if not over.is_set():
            over.set()
            self._devices[node].call_off()

    def call_all_off(self) -> None:
        for node in {*self._runs, *self._ons}:
            self.call_off(node)
        for node in tuple(self._warm):
            self._devices[node].cool()


def _new(node: str, epoch: int, clock: Clock) -> FenceRun:
    return FenceRun(node, epoch, clock.monotonic(), Unknown("not read yet"), ended=False)


def _spawn(name: str, act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, name=name, daemon=True)
    thread.start()
    return thread
