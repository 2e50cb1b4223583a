"""What a plan is run with: ports, and the guards that hold for every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from hactl.act.hour import HourLeases
from hactl.errors import Refused
from hactl.ports import Clock, EtcdKv, Journal
from hactl.view.control import Key, Mode
from hactl.view.keys import Keys
from hactl.view.kv import Compare, Pair, value_is

WITHIN: Final = 1.2  # seconds for one call of etcd: an election of 1 s in between is not waited for twice


class Fences(Protocol):
    """Fence agents at work. All calls return at once; what comes of it is in the view's FenceRuns."""

    def start(self, node: str, epoch: int, *, not_after: float, still: Callable[[], bool]) -> None:
        """Switch the node off and read its power. `still` is asked again right before the power is cut.

        Raises:
            Refused: the spec names no fence agent for this node, or it is too late.

        """

    def power_on(self, node: str, epoch: int, *, still: Callable[[], bool]) -> None:
        """Switch the node on when no `off` runs any more; `still` is asked right before.

        Raises:
            Refused: the spec names no fence agent for this node.

        """

    def call_off(self, node: str) -> None: ...


@dataclass(frozen=True)
class Hands:
    """`claim`: the controller key's value while its lease is surely ours, else None. `addresses`: nodes'."""

    me: str
    kv: EtcdKv
    keys: Keys
    journal: Journal
    clock: Clock
    claim: Callable[[], str | None]
    fences: Fences
    yield_control: Callable[[str], None]
    new_id: Callable[[], str]
    addresses: Mapping[str, str]
    hours: HourLeases
    stopping: Callable[[], bool] = lambda: False

    def token(self) -> str:
        """Raises Refused: another controller may be active by now, or this one ends."""
        token = self.claim()
        if token is None:
            raise Refused("this controller does not surely hold its lease")
        if self.stopping():
            raise Refused("this controller is about to end: the next one goes on")
        return token

    def ours(self) -> Compare:
        """The comparison in every transaction that acts: nobody else is controller in between."""
        return value_is(self.keys.controller, self.token())

    def read(self, key: str) -> Pair | None:
        return self.kv.range(key, within=WITHIN).first


@dataclass(frozen=True)
class Done:
    """What a step did. `alive`, `mode`: as in Outcome. `record`: goes into the journal with the result."""

    said: str
    alive: Key | None = None
    mode: Mode | None = None
    record: Mapping[str, object] | None = None
