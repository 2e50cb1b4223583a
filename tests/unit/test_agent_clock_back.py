"""When the agent wakes Patroni because the wall clock was turned back."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hactl.agent.clock_back import AGAIN, EVERY, STEP, ClockBack
from hactl.errors import HactlError, Refused, StepFailed
from tests.fakes.agent import Clocks


@dataclass
class World:
    clocks: Clocks = field(default_factory=Clocks)
    fails: int = 0
    error: HactlError = field(default_factory=lambda: StepFailed("Patroni does not answer"))
    acts: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = ClockBack(self.clocks, self, lambda event, **_: self.said.append(event))

    def act(self, verb: str, unit: str = "", *, within: float) -> str:
        self.acts.append(f"{verb} {unit}".strip())
        assert within > 0
        if len(self.acts) <= self.fails:
            raise self.error
        return "Patroni begins its next round"

    def rounds(self, count: int = 1) -> World:
        for _ in range(count):
            self.clocks.now += EVERY
            self.watch.once()
        return self

    def turned(self, seconds: float) -> World:
        self.clocks.turned += seconds
        return self


def test_turned_back_patroni_is_woken_once() -> None:
    world = World().rounds(3).turned(-300).rounds(20)
    assert (world.acts, world.said) == (["wake-patroni"], ["clock turned back"])


@pytest.mark.parametrize("seconds", [300, 0, -STEP / 2], ids=["forward", "not", "slewed"])
def test_otherwise_it_is_left_alone(seconds: float) -> None:
    assert World().rounds().turned(seconds).rounds(20).acts == []


def test_forward_and_back_again_is_back() -> None:
    world = World().turned(300).rounds(4)
    assert world.acts == []
    assert world.turned(-300).rounds(4).acts == ["wake-patroni"]


def test_a_patroni_that_does_not_answer_is_asked_again_each_second() -> None:
    world = World(fails=2).turned(-300).rounds(1)
    assert world.said == ["Patroni not woken"]
    assert world.rounds(int(AGAIN / EVERY) - 1).acts == ["wake-patroni"], "not sooner"
    world.rounds(20)
    assert (len(world.acts), world.said[-1]) == (3, "clock turned back")


def test_in_vain_it_ends_when_patroni_has_slept_out() -> None:
    world = World(fails=10_000).turned(-20).rounds(int(60 / EVERY))
    assert 20 <= len(world.acts) <= 31, "each second of 20, and some"


def test_a_helper_that_refuses_is_not_asked_again() -> None:
    world = World(fails=10_000, error=Refused("not in the vocabulary")).turned(-300).rounds(40)
    assert len(world.acts) == 1


def test_two_looks_that_lie_apart_say_nothing() -> None:
    """The thread was held up between them, by as much as would look like a step back."""
    world = World().rounds()
    world.clocks.held = 0.6
    world.rounds()
    world.clocks.held = 0.0
    assert world.rounds(20).acts == []


def test_a_machine_that_slept_was_not_turned_back() -> None:
    world = World().rounds()
    world.clocks.asleep += 600
    assert world.rounds(20).acts == []
