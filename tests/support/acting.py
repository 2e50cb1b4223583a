"""A plan's steps on an etcd in memory: what a controller's hands are in tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.act.run import execute
from hactl.decide.plan import Action, OpenIncident, Outcome, Plan, Step
from hactl.errors import Unreachable
from hactl.view.control import FenceIntent, Leader
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd

KEYS = Keys("demo")
TOKEN = '{"id":"me","node":"wit1"}'
ADDRESSES = {"192.0.2.11": "db1", "192.0.2.12": "db2"}


class Book:
    """A journal that may refuse."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []
        self.fails = False
        self.fails_result = False

    def intent(self, action: str, *, incident: str = "", epoch: int = 0, data: Any = None) -> int:
        if self.fails:
            raise Unreachable("journal")
        self.lines.append(("intent", action, incident, epoch, data))
        return len(self.lines)

    def result(self, seq: int, *, ok: bool, data: Any = None) -> None:
        if self.fails_result:
            raise Unreachable("journal")
        self.lines.append(("result", seq, ok, data))

    def event(self, action: str, *, incident: str = "", epoch: int = 0, data: Any = None) -> int:
        self.lines.append(("event", action, incident, epoch, data))
        return len(self.lines)


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        self.book = Book()
        self.claim: str | None = TOKEN
        self.calls: list[Any] = []
        self.lease = self.etcd.grant(20)
        self.etcd.put(KEYS.controller, TOKEN)
        self.etcd.put(KEYS.leader, "db1", self.lease)
        self.etcd.put(KEYS.mode("db1"), "leased")
        self.etcd.put(KEYS.alive("db1"), '{"seq":1}')
        kv: Any = self.etcd.client()
        self.hands = Hands(
            me="wit1", kv=kv, keys=KEYS, journal=self.book, clock=self.clock, claim=lambda: self.claim,
            fences=self, yield_control=lambda why: self.calls.append(("yield", why)),
            new_id=lambda: "id1", addresses=ADDRESSES, hours=HourLeases(kv, self.clock),
        )  # fmt: skip

    def start(self, node: str, epoch: int, *, not_after: float, still: Callable[[], bool]) -> None:
        self.calls.append(("fence", node, epoch, not_after, still()))

    def power_on(self, node: str, epoch: int, *, still: Callable[[], bool]) -> None:
        self.calls.append(("on", node, epoch, still()))

    def call_off(self, node: str) -> None:
        self.calls.append(("call off", node))

    @property
    def leader(self) -> Leader:
        pair = self.etcd.pairs[KEYS.leader]
        return Leader(pair.value, pair.lease, pair.mod_revision)

    @property
    def intent(self) -> FenceIntent:
        return FenceIntent("db1", 1, "failover-1", "wit1", self.leader, "3 of 4 paths fail")

    def opening(self) -> OpenIncident:
        stamp = Stamp(Phase.SUSPECTED, "wit1", int(self.clock.now * 1000) - 500, "")
        return OpenIncident(Incident("failover-1", "failover", "db1", "db2", 1, stamps=(stamp,)), self.intent)

    def do(self, *actions: Action) -> tuple[Outcome, ...]:
        return execute(Plan(tuple(Step(a, "because") for a in actions)), self.hands)

    def did(self, action: Action) -> Outcome:
        (outcome,) = self.do(action)
        assert outcome.done, outcome.said
        return outcome

    def refused(self, action: Action) -> str:
        """The step failed, and no key of etcd was changed by it."""
        before = self.values()
        (outcome,) = self.do(action)
        assert not outcome.done
        assert self.values() == before
        return outcome.said

    def values(self) -> dict[str, str]:
        return {k: p.value for k, p in self.etcd.pairs.items()}

    def opened(self) -> FenceIntent:
        action = self.opening()
        self.did(action)
        return action.intent
