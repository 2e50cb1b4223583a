"""A switchover for later: decided as a table, done once on an etcd in memory, ordered at the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest

import hactl.wiring
from hactl.act.maintenance import Operator
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.controller.handover import WITHIN, Handover
from hactl.decide.plan import DropScheduled, Outcome, SwitchOver
from hactl.decide.scheduled import LATE, decide_scheduled
from hactl.view.control import Dcs
from hactl.view.journal import Kind, Record, sealed, text_of
from hactl.view.operation import Holder
from hactl.view.parse.by_hand import parse_scheduled, scheduled_text
from hactl.view.scheduled import Scheduled
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.acting import KEYS, Bench
from tests.support.views import SAMPLE, after, demo_spec, etcd_lost, keys, look

Out = pytest.CaptureFixture[str]
AT = 1_800_000_000
ORDER = Scheduled("a1", AT, "", "operator anna", "new RAM")
HOLDER = Holder("ben", "desk", 1, "node reinit db2", "", "", "")


def decided(*changes: Any, wall: float = AT + 1.0, order: Scheduled | None = ORDER, **dcs: Any) -> Any:
    view = after(keys(scheduled=order, **dcs), *changes)
    assert isinstance(view.control, Dcs)
    plan = decide_scheduled(demo_spec(), view, view.control, wall)
    return plan.steps[0].action if plan.steps else None


def test_nothing_before_its_time_and_nothing_without_an_order() -> None:
    assert decided(wall=AT - 1) is None
    assert decided(order=None) is None


def test_at_its_time_it_is_done() -> None:
    assert decided() == SwitchOver(ORDER, "db1", "db2")
    to = Scheduled("a1", AT, "db2", "operator anna", "")
    assert decided(order=to) == SwitchOver(to, "db1", "db2")


@pytest.mark.parametrize(
    ("changes", "dcs", "codes"),
    [
        pytest.param((), {"paused": True, "incident": "{}"}, ["INCIDENT_OPEN", "PAUSED"], id="all reasons"),
        pytest.param((etcd_lost("db2"),), {}, ["ETCD_DEGRADED"], id="etcd is not whole"),
        pytest.param((), {"operation": HOLDER}, ["OPERATION"], id="a command is at work"),
        pytest.param(
            (), {"order": Scheduled("a1", AT, "db1", "anna", "")}, ["ALREADY_PRIMARY"], id="it is there"
        ),
        pytest.param((), {"order": Scheduled("a1", AT, "db9", "anna", "")}, ["NO_TARGET"], id="no such node"),
        pytest.param((), {"wall": AT + LATE + 1}, ["MISSED"], id="no controller was there"),
    ],
)
def test_refused_once_and_for_all(changes: Any, dcs: Any, codes: list[str]) -> None:
    action = decided(*changes, **dcs)
    assert isinstance(action, DropScheduled)
    assert [why.partition(":")[0] for why in action.why] == codes


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.etcd.put(KEYS.scheduled, scheduled_text(ORDER))
    return bench


ACTION = SwitchOver(ORDER, "db1", "db2")


@pytest.mark.parametrize("before", [None, "{}"])
def test_patroni_is_asked_and_the_order_is_gone(bench: Bench, before: str | None) -> None:
    if before is not None:  # what Patroni leaves there when it has done one
        bench.etcd.put(KEYS.switchover, before)
    assert "hand over to db2" in bench.did(ACTION).said
    assert json.loads(bench.etcd.value(KEYS.switchover) or "") == {"leader": "db1", "member": "db2"}
    assert bench.etcd.value(KEYS.scheduled) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (KEYS.leader, "db2"), (KEYS.paused, "{}"), (KEYS.incident, "{}"), (KEYS.operation, "{}"),
        (KEYS.switchover, '{"leader":"db1"}'), (KEYS.fence("db2"), "{}"),
    ],
)  # fmt: skip
def test_what_changed_meanwhile_drops_it(bench: Bench, key: str, value: str) -> None:
    bench.etcd.put(key, value)
    (outcome,) = bench.do(ACTION)
    assert not outcome.done
    assert bench.etcd.value(KEYS.scheduled) is None
    assert bench.etcd.value(KEYS.switchover) in {None, '{"leader":"db1"}'}


def test_another_controller_or_another_order_leaves_it_alone(bench: Bench) -> None:
    other = scheduled_text(Scheduled("b2", AT, "", "operator ben", ""))
    bench.etcd.put(KEYS.scheduled, other)
    bench.refused(ACTION)
    bench.refused(DropScheduled(ORDER, ("PAUSED",)))
    assert bench.etcd.value(KEYS.scheduled) == other
    bench.etcd.put(KEYS.scheduled, scheduled_text(ORDER))
    bench.etcd.put(KEYS.controller, "{}")
    bench.refused(ACTION)
    assert bench.etcd.value(KEYS.switchover) is None


def test_a_refusal_has_its_reasons_in_the_journal(bench: Bench) -> None:
    assert (
        bench.did(DropScheduled(ORDER, ("PAUSED: somebody paused",))).said
        == "refused: PAUSED: somebody paused"
    )
    assert bench.etcd.value(KEYS.scheduled) is None


@pytest.mark.parametrize(
    ("leader", "after_s", "told"),
    [("db2", 1.0, [True]), ("db1", 1.0, []), ("db1", WITHIN + 1, [False]), (None, WITHIN + 1, [False])],
)
def test_what_came_of_it_is_told_once(
    bench: Bench, leader: str | None, after_s: float, told: list[bool]
) -> None:
    handover = Handover(bench.book)
    handover.asked((Outcome(ACTION, done=True, said="", asked=0.0, at=0.0),), 100.0)
    for _ in range(2):
        handover.look(look(leader), 100.0 + after_s)
    assert [line[4]["ok"] for line in bench.book.lines if line[1] == "switchover-ended"] == told


@pytest.mark.parametrize("text", ["", "{}", '{"id":"a","at":"x","to":"","by":"","reason":""}'])
def test_an_order_that_cannot_be_read_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="scheduled"):
        parse_scheduled(text)


class Desk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock: Any = FakeClock()
        self.etcd = FakeEtcd(clock)
        head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        kv: Any = self.etcd.client()
        kv.close = lambda: None
        asks = Operator(kv, KEYS, clock, "operator anna", "desk")
        self.dcs: dict[str, Any] = {}
        monkeypatch.setattr(by_hand, "operator", lambda _: asks)
        monkeypatch.setattr(by_hand, "look", lambda *_: after(keys(**self.dcs)))
        monkeypatch.setattr(hactl.wiring, "etcd_kv", lambda *_: kv)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), "switchover", *words])
    return int(caught.value.code or 0)


def test_ordered_listed_cancelled(desk: Desk, capsys: Out) -> None:
    desk.dcs = {"paused": True}
    assert call("--at", "+2h", "--to", "db2", "--yes", "--reason", "new RAM") == 0
    assert "now it would be refused: PAUSED" in capsys.readouterr().err
    order = parse_scheduled(desk.etcd.value(KEYS.scheduled) or "")
    assert (order.target, order.by, order.reason) == ("db2", "operator anna", "new RAM")
    assert scheduled_text(order) == desk.etcd.value(KEYS.scheduled)
    assert call("--at", "+3h", "--yes") == 3
    assert call("--list", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["scheduled"]["to"] == "db2"
    assert call("--cancel", "--dry-run") == 0
    assert desk.etcd.value(KEYS.scheduled)
    assert call("--cancel") == 0
    assert desk.etcd.value(KEYS.scheduled) is None
    capsys.readouterr()
    assert call("--cancel") == 0
    assert call("--list") == 0
    assert capsys.readouterr().out.count("no switchover is scheduled") == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--at", "yesterday", "--yes"), 2), (("--at", "2001-01-01 10:00", "--yes"), 2),
        (("--at", "+8d", "--yes"), 2), (("--at", "+1h", "--to", "arc1", "--yes"), 2),
        (("--at", "+1h", "--list"), 2), (("--at", "+1h"), 3), (("--at", "+1h", "--dry-run"), 0),
    ],
)  # fmt: skip
def test_what_orders_nothing(desk: Desk, words: tuple[str, ...], code: int) -> None:
    assert call(*words) == code
    assert desk.etcd.value(KEYS.scheduled) is None
