"""Switching a node on: never beside what switches it off, never what reads as on, never without the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from hactl.controller.fences import FenceRuns
from hactl.controller.samples import Samples
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.view.control import FenceRun
from hactl.view.model import Unknown


class Clock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return 0.0


class Device:
    """Whoever is called off ends at once. Two that act at the same time are a failure."""

    def __init__(self) -> None:
        self.state = "off"
        self.said: list[str] = []
        self.deaf = self.called_off = self.late = self.stuck = False
        self.cutting = threading.Event()
        self.release = threading.Event()

    def power(self, *, within: float) -> str:
        del within
        if self.called_off:
            raise Unreachable("called off")
        if self.state == "unknown":
            raise StepFailed("no status")
        state = self.state
        if self.late:  # the `off` that it took just now
            self.state = "off"
        return state

    def switch_off(self, *, within: float, may: Callable[[], bool]) -> str:
        assert may()
        self.said.append("off begins")
        self.cutting.set()
        self.release.wait(within)
        self.said.append("off ends")
        raise Unreachable("called off")

    def switch_on(self, *, within: float) -> str:
        del within
        assert self.said.count("off begins") == self.said.count("off ends")
        self.said.append("on")
        self.late = False
        if not self.deaf:
            self.state = "on"
        return "Success: Powered ON"

    def call_off(self) -> None:
        self.called_off = True
        if not self.stuck:
            self.release.set()

    def allow(self) -> None:
        self.called_off = False

    def warm(self) -> None: ...

    def cool(self) -> None: ...


class Bench:
    def __init__(self) -> None:
        self.device, self.samples = Device(), Samples()
        self.runs = FenceRuns({"db1": self.device}, Clock(), self.samples)

    def cut(self, epoch: int = 1) -> None:
        self.runs.start("db1", epoch, not_after=time.monotonic() + 5, still=lambda: True)

    def on(self, still: Callable[[], bool] = lambda: True) -> None:
        self.runs.power_on("db1", 1, still=still)

    def ended(self) -> FenceRun:
        end = time.monotonic() + 5
        while not (run := self.samples.view("me", holding=True).power_ons["db1"]).ended:
            assert time.monotonic() < end, run
            self.samples.changed.wait(0.01)
        return run


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("hactl.controller.fences.PAUSE", 0.001)
    for name, seconds in (("PAUSE", 0.001), ("SETTLES", 0.1), ("READS", 0.1), ("ENDS", 0.5)):
        monkeypatch.setattr(f"hactl.controller.power.{name}", seconds)
    bench = Bench()
    yield bench
    bench.device.release.set()
    bench.runs.call_all_off()


def test_what_reads_as_off_is_switched_on_and_read_again(bench: Bench) -> None:
    bench.on()
    run = bench.ended()
    assert (run.power, run.said) == ("on", "switched on again: Success: Powered ON")
    assert bench.device.said == ["on"]


def test_what_reads_as_on_is_left_alone(bench: Bench) -> None:
    bench.device.state = "on"
    bench.on()
    assert bench.ended().said == "it is on already"
    assert bench.device.said == []


def test_an_off_that_takes_its_time_is_waited_for(bench: Bench) -> None:
    bench.device.state, bench.device.late = "on", True
    bench.on()
    bench.ended()
    assert bench.device.said == ["on"]


def test_what_still_switches_it_off_is_ended_first(bench: Bench) -> None:
    bench.device.state = "on"
    bench.cut()
    assert bench.device.cutting.wait(5)
    bench.device.state = "off"
    bench.on()
    assert bench.ended().power == "on"
    assert bench.device.said == ["off begins", "off ends", "on"]


def test_what_still_switches_it_off_and_does_not_end_forbids_it(bench: Bench) -> None:
    bench.device.state, bench.device.stuck = "on", True
    bench.cut()
    assert bench.device.cutting.wait(5)
    bench.device.state = "off"
    bench.on()
    assert "does not end" in bench.ended().said
    assert bench.device.said == ["off begins"]


def test_while_it_is_switched_on_nothing_switches_it_off(bench: Bench) -> None:
    bench.device.deaf = True
    bench.on()
    with pytest.raises(Refused, match="still switches db1 on"):
        bench.cut(2)
    bench.ended()


def test_a_power_that_cannot_be_read_is_not_switched(bench: Bench) -> None:
    bench.device.state = "unknown"
    bench.on()
    run = bench.ended()
    assert isinstance(run.power, Unknown)
    assert run.said == "its power cannot be read: no status"
    assert bench.device.said == []


def test_without_the_lease_nothing_is_switched_on(bench: Bench) -> None:
    bench.on(still=lambda: False)
    assert bench.ended().power == "off"
    assert bench.device.said == []


def test_on_that_ends_well_and_does_nothing_is_no_success(bench: Bench) -> None:
    bench.device.deaf = True
    bench.on()
    run = bench.ended()
    assert run.power == "off"
    assert run.said == "power is off, Success: Powered ON"


def test_two_tries_are_not_made_at_once(bench: Bench) -> None:
    bench.device.deaf = True
    bench.on()
    bench.on()
    bench.ended()
    assert bench.device.said == ["on"]


def test_it_ends_with_its_controller(bench: Bench) -> None:
    bench.device.deaf = True
    bench.on()
    bench.runs.call_all_off()
    assert bench.ended().power != "on"


def test_a_node_without_an_agent_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused, match="db2"):
        bench.runs.power_on("db2", 1, still=lambda: True)
