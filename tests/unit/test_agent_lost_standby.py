"""When the primary's agent ends the connections of a standby that is gone."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hactl.agent.lost_standby import MISSES, QUIET, LostStandby
from hactl.errors import StepFailed
from hactl.view.control import PeerLook
from hactl.view.model import Unknown


@dataclass
class World:
    misses: int | None = 0
    why: str = ""
    silent: float | None = 0.0
    leads: bool = True
    refuses: bool = False
    now: float = 100.0
    asked: int = 0
    ended: int = 0
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = LostStandby(
            {"db2": self.look}, {"db2": self}, lambda: self.leads, lambda: self.now, self.say
        )

    def look(self) -> PeerLook | Unknown:
        return Unknown("not looked yet") if self.misses is None else PeerLook(self.misses, self.why)

    def quiet(self) -> float | None:
        self.asked += 1
        return self.silent

    def end(self) -> int:
        if self.refuses:
            raise StepFailed("ss: not permitted")
        self.ended += 1
        return 1

    def say(self, event: str, **_: object) -> None:
        self.said.append(event)

    def later(self, seconds: float = 0.1) -> World:
        self.now += seconds
        self.watch.once()
        return self


def lost(**changes: object) -> World:
    return World(**{"misses": MISSES, "silent": QUIET, **changes})  # type: ignore[arg-type]


def test_a_standby_that_neither_answers_nor_sends_is_cut_off_once() -> None:
    world = lost().later().later().later()
    assert (world.ended, world.said) == (1, ["standby lost"])


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"misses": MISSES - 1}, id="it missed too few looks"),
        pytest.param({"misses": None}, id="nobody has looked yet"),
        pytest.param({"silent": QUIET - 0.1}, id="its receiver still sends"),
        pytest.param({"silent": None}, id="it has no connection"),
        pytest.param(
            {"why": "192.0.2.12:5432: connection refused"}, id="its PostgreSQL is stopped: it rewinds"
        ),
        pytest.param({"leads": False}, id="this node does not lead"),
    ],
)
def test_nothing_is_ended_while(changes: dict[str, object]) -> None:
    assert lost(**changes).later().ended == 0


def test_a_frozen_postmaster_whose_receiver_streams_is_asked_about_seldom_and_never_cut_off() -> None:
    world = lost()
    for _ in range(50):  # 5 s, a reply each second
        world.silent = (world.now * 10 % 10) / 10
        world.later()
    assert world.ended == 0
    assert world.asked < 20


def test_silence_that_grows_is_seen_when_it_is_long_enough() -> None:
    world = lost(silent=QUIET - 0.4).later()
    world.silent = QUIET
    assert world.later(0.3).ended == 0, "not asked before it can be"
    assert world.later(0.2).ended == 1


def test_what_answered_again_can_be_lost_again() -> None:
    world = lost().later()
    world.misses = 0
    world.later()
    world.misses = MISSES
    assert world.later().ended == 2


def test_where_ss_refuses_postgresql_s_own_time_out_is_left() -> None:
    world = lost(refuses=True).later().later()
    assert world.asked == 1
    assert world.said == ["connections of a lost standby not ended"]
