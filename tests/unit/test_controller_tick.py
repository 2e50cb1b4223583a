"""The tick: one order a node, nothing decided on an old look, and nothing decided by who only stands by."""

from __future__ import annotations

import io
from typing import Any

import pytest

from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.adapters.events import EventLog
from hactl.controller import tick as module
from hactl.controller.samples import Samples
from hactl.controller.tick import VIEW_OLD, Surroundings, Tick
from hactl.decide.plan import GiveOrder, Plan, Reinitialize, Step, YieldControl
from hactl.metrics.instruments import Instruments
from hactl.metrics.snapshot import Board
from hactl.view.keys import Keys
from hactl.view.model import Unknown
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.fakes.ports import healthy_ports
from tests.support import views
from tests.support.takeover import Journal

KEYS = Keys("demo")
TOKEN = '{"id":"me","node":"wit1"}'


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        self.etcd.put(KEYS.controller, TOKEN)
        self.etcd.put(KEYS.leader, "db1")
        self.claim: str | None = TOKEN
        self.yielded: list[str] = []
        self.lines: list[dict[str, Any]] = []
        self.log = io.StringIO()
        kv: Any = self.etcd.client()
        nobody: Any = None
        self.samples = Samples()
        fields = {"reinit": nobody} if "reinit" in Hands.__dataclass_fields__ else {}
        hands = Hands(
            me="wit1", kv=kv, keys=KEYS, journal=Journal(_Counted(), self.lines), clock=self.clock,
            claim=lambda: self.claim, fences=nobody, yield_control=self.yielded.append,
            new_id=lambda: "id", addresses={}, hours=HourLeases(kv, self.clock), **fields,
        )  # fmt: skip
        self.around = Surroundings(healthy_ports(), self.samples, self.clock)
        self.board = Board({"tick": 5})
        log, instruments = EventLog("wit1", self.log), Instruments()
        spec = views.demo_spec()
        self.tick = Tick(spec, self.samples, self.around, hands, self.clock, log, instruments, self.board)
        self.samples.look(views.look(), self.clock.now)


class _Counted:
    def journal(self) -> None: ...


@pytest.fixture
def bench() -> Bench:
    return Bench()


def _say(monkeypatch: pytest.MonkeyPatch, **plans: Plan) -> list[str]:
    """Each decision answers with its plan, or with nothing; who was asked."""
    asked: list[str] = []
    for name in ("grey", "recovery", "reconcile", "control"):

        def decide(*given: Any, name: str = name) -> tuple[Plan, Any]:
            asked.append(name)
            return plans.get(name, Plan()), given[-2]

        monkeypatch.setattr(module, f"decide_{name}", decide)
    return asked


def _order(node: str, verb: str) -> Step:
    return Step(GiveOrder(node, verb, "", verb), "because")


def test_a_healthy_installation_gets_a_snapshot_and_no_order(bench: Bench) -> None:
    bench.around.look()
    bench.tick.once()
    snapshot = bench.board.snapshot
    assert snapshot is not None
    assert snapshot.holding
    assert snapshot.view is not None
    assert snapshot.findings is not None
    assert bench.lines == []


def test_who_only_stands_by_decides_nothing_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = _say(monkeypatch)
    bench.around.look()
    bench.claim = None
    bench.tick.once()
    assert asked == []
    snapshot = bench.board.snapshot
    assert snapshot is not None
    assert not snapshot.holding
    assert snapshot.view is None


def test_an_old_look_decides_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _say(monkeypatch)
    bench.around.look()
    bench.clock.forward(VIEW_OLD + 0.1)
    bench.tick.once()
    assert asked == []


def test_without_a_look_nothing_is_decided(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _say(monkeypatch)
    bench.tick.once()
    assert asked == []


def test_one_order_for_a_node_in_a_tick(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    _say(
        monkeypatch,
        grey=Plan((_order("db2", "kill-patroni"),)),
        recovery=Plan((_order("db2", "restart"), _order("arc1", "restart"))),
    )
    bench.around.look()
    bench.tick.once()
    given = [line["data"]["node"] for line in bench.lines if line["kind"] == "intent"]
    assert given == ["db2", "arc1"]
    assert '"verb":"kill-patroni"' in (bench.etcd.value(KEYS.order("db2")) or "")


def test_a_step_that_fails_does_not_hold_up_those_of_other_nodes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = (Step(Reinitialize("db1"), "because"), Step(YieldControl("place"), "because"))
    _say(monkeypatch, recovery=Plan(steps))
    bench.around.look()
    bench.tick.once()
    assert bench.yielded == ["place"]


def test_a_decision_is_logged_when_it_changes_only(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    _say(monkeypatch)
    bench.around.look()
    for _ in range(5):
        bench.tick.once()
    decisions = [line for line in bench.log.getvalue().splitlines() if '"decision"' in line]
    assert len(decisions) == 5


def test_etcds_leader_is_who_most_members_name(bench: Bench) -> None:
    bench.around.look()
    assert bench.samples.view("wit1", holding=True).etcd_leader == "wit1"


def test_no_member_that_answers_names_no_leader() -> None:
    view = views.after(*(views.etcd_lost(n) for n in ("db1", "db2", "wit1")))
    assert isinstance(module._etcd_leader(view), Unknown)
