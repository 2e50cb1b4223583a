"""Fence agents at work: what is read counts, what is cut does not; and nothing starts too late."""

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
    """Its power is what the test says; each call is noted."""

    def __init__(self) -> None:
        self.state = "on"
        self.cuts = self.reads = 0
        self.works = True
        self.hold: threading.Event | None = None
        self.stops: Callable[[], None] = lambda: None
        self.readings: list[str] = []
        self.off = False
        self.warmed, self.cooled = threading.Event(), threading.Event()

    def answers(self, *readings: str) -> None:
        self.readings = list(readings)

    def power(self, *, within: float) -> str:
        del within
        self.reads += 1
        if self.readings:
            self.state = self.readings.pop(0)
        if self.state == "unknown":
            raise StepFailed("no status")
        return self.state

    def switch_on(self, *, within: float) -> str:
        raise AssertionError(within)

    def switch_off(self, *, within: float, may: Callable[[], bool]) -> str:
        self.stops()
        if not may():
            raise Refused("too late")
        self.cuts += 1
        if self.hold is not None:
            self.hold.wait(within)
        if self.works:
            self.state = "off"
        return "Success: Powered OFF"

    def call_off(self) -> None:
        self.off = True
        if self.hold is not None:
            self.hold.set()

    def allow(self) -> None:
        self.off = False

    def warm(self) -> None:
        self.warmed.set()

    def cool(self) -> None:
        self.cooled.set()


class Bench:
    def __init__(self) -> None:
        self.device, self.samples = Device(), Samples()
        self.runs = FenceRuns({"db1": self.device}, Clock(), self.samples)

    def start(self, epoch: int = 1, *, late: float = 5.0, still: Callable[[], bool] = lambda: True) -> None:
        self.runs.start("db1", epoch, not_after=time.monotonic() + late, still=still)

    @property
    def seen(self) -> FenceRun:
        return self.samples.view("me", holding=True).fence_runs["db1"]

    def until(self, ok: Callable[[FenceRun], bool]) -> FenceRun:
        end = time.monotonic() + 5
        while not ok(self.seen):
            assert time.monotonic() < end, self.seen
            self.samples.changed.wait(0.01)
        return self.seen


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr("hactl.controller.fences.PAUSE", 0.001)
    bench = Bench()
    yield bench
    bench.runs.call_all_off()


def test_a_machine_that_is_off_already_is_proved_without_waiting_for_the_cut(bench: Bench) -> None:
    bench.device.state, bench.device.hold = "off", threading.Event()
    bench.start()
    run = bench.until(lambda r: r.ended)
    assert run.power == "off"
    assert run.read is not None
    assert run.read >= run.started


def test_a_machine_that_is_on_is_cut_and_read_again(bench: Bench) -> None:
    bench.start()
    run = bench.until(lambda r: r.power == "off")
    assert bench.device.cuts == 1
    assert run.epoch == 1


def test_an_agent_that_says_success_and_does_nothing_proves_nothing(bench: Bench) -> None:
    bench.device.works = False
    bench.start()
    run = bench.until(lambda r: "Success" in r.said and r.read is not None)
    assert run.power == "on"
    assert not run.ended


def test_a_status_that_cannot_be_read_is_unknown(bench: Bench) -> None:
    bench.device.state, bench.device.works = "unknown", False
    bench.start()
    assert isinstance(bench.until(lambda r: r.read is not None).power, Unknown)


def test_nothing_is_cut_when_it_is_too_late(bench: Bench) -> None:
    bench.device.works = False
    bench.start(late=-0.001)
    bench.until(lambda r: r.read is not None)
    assert bench.device.cuts == 0


def test_a_process_that_is_stopped_right_before_it_cuts_does_not_cut_late(bench: Bench) -> None:
    bench.device.works = False
    bench.device.stops = lambda: time.sleep(0.3)
    bench.start(late=0.2)
    assert bench.until(lambda r: "too late" in r.said).power == "on"
    assert bench.device.cuts == 0


def test_nothing_is_cut_when_the_lease_is_gone(bench: Bench) -> None:
    bench.start(still=lambda: False)
    bench.until(lambda r: r.read is not None)
    assert bench.device.cuts == 0


def test_called_off_nothing_is_said_any_more(bench: Bench) -> None:
    bench.device.hold = threading.Event()
    bench.start()
    bench.until(lambda r: r.read is not None)
    bench.runs.call_off("db1")
    assert bench.device.off
    bench.until(lambda r: r.ended)


def test_the_same_epoch_is_not_started_twice(bench: Bench) -> None:
    bench.device.hold = threading.Event()
    bench.device.works = False
    bench.start()
    bench.until(lambda r: r.read is not None)
    bench.start()
    assert bench.device.cuts == 1


def test_another_epoch_waits_for_the_one_at_work(bench: Bench) -> None:
    bench.device.works = False
    bench.start(1)
    with pytest.raises(Refused, match="epoch 1"):
        bench.start(2)


def test_a_new_run_begins_without_a_reading(bench: Bench) -> None:
    """What an earlier run read must not pass for this one's."""
    bench.device.state = "off"
    bench.start(1)
    bench.until(lambda r: r.ended)
    bench.device.state = "unknown"
    bench.device.works = False
    bench.start(2)
    run = bench.until(lambda r: r.epoch == 2)
    assert isinstance(run.power, Unknown)


def test_a_node_without_an_agent_is_refused(bench: Bench) -> None:
    with pytest.raises(Refused, match="db2"):
        bench.runs.start("db2", 1, not_after=time.monotonic() + 1, still=lambda: True)


def test_a_device_that_fails_is_asked_again(bench: Bench) -> None:
    def failing(*, within: float, may: Callable[[], bool]) -> str:
        assert within
        assert may()
        bench.device.cuts += 1
        if bench.device.cuts < 3:
            raise Unreachable("busy")
        bench.device.state = "off"
        return "ok"

    bench.device.switch_off = failing  # type: ignore[method-assign]
    bench.start()
    bench.until(lambda r: r.power == "off")
    assert bench.device.cuts == 3


@pytest.mark.parametrize(
    ("readings", "was_on"),
    [
        pytest.param(("on", "off"), True, id="it was on"),
        pytest.param(("off",), False, id="it was off already"),
        pytest.param(("unknown", "on", "off"), True, id="it was on, read late"),
        pytest.param(("unknown", "off"), None, id="nobody knows: its first status could not be read"),
    ],
)
def test_a_run_knows_whether_it_was_on_before(
    bench: Bench,
    readings: tuple[str, ...],
    was_on: bool | None,  # noqa: FBT001
) -> None:
    bench.device.answers(*readings)
    bench.start(still=lambda: False)
    known = bench.until(lambda r: r.ended).was_on
    assert isinstance(known, Unknown) if was_on is None else known is was_on


def test_off_that_is_read_only_after_the_cut_may_be_the_cuts_doing(bench: Bench) -> None:
    cut = threading.Event()

    def slow(*, within: float) -> str:
        cut.wait(within)
        return bench.device.state

    def switch_off(*, within: float, may: Callable[[], bool]) -> str:
        del within, may
        bench.device.state = "off"
        threading.Timer(0.1, cut.set).start()
        return "Success: Powered OFF"

    bench.device.power, bench.device.switch_off = slow, switch_off  # type: ignore[method-assign]
    bench.start()
    run = bench.until(lambda r: r.ended)
    assert run.power == "off"
    assert isinstance(run.was_on, Unknown)


def test_a_second_run_of_an_epoch_knows_what_the_first_one_read(bench: Bench) -> None:
    bench.device.works = False
    bench.start()
    bench.until(lambda r: r.was_on is True)
    bench.runs.call_off("db1")
    bench.until(lambda r: r.ended)
    bench.device.state = "off"
    bench.start()
    assert bench.until(lambda r: r.power == "off").was_on is True
    bench.start(2)
    assert bench.until(lambda r: r.epoch == 2 and r.ended).was_on is False


def test_the_agent_of_a_doubted_node_is_started_ahead_and_ended_when_it_lives(bench: Bench) -> None:
    bench.runs.prepare(("db1", "db2"))
    assert bench.device.warmed.wait(5)
    assert not bench.device.cooled.is_set()
    bench.runs.prepare(())
    assert bench.device.cooled.wait(5)
    assert (bench.device.cuts, bench.device.reads) == (0, 0)
