"""Acting on nodes by hand: keys under leases, proofs before words, one step at a time, the last one named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hactl.act import maintenance, node_fence, node_keys, node_stop
from hactl.act.maintenance import Operator
from hactl.errors import Refused, StepFailed
from hactl.view.archive import Drain, DrainBy
from hactl.view.control import FenceIntent, Leader, Maintenance, Order
from hactl.view.control_text import fence_text
from hactl.view.keys import Keys
from hactl.view.parse.maintenance import parse_maintenance
from tests.fakes.etcd import FakeEtcd
from tests.support.passing import Time
from tests.support.views import demo_spec

SPEC = demo_spec()
KEYS = Keys("demo")
WORK = Maintenance("db2", "operator anna", "new RAM", "then", "later")
DRAIN = Drain("arc1", DrainBy.OPERATOR, "maintenance: disk")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def etcd(clock: Time) -> FakeEtcd:
    found = FakeEtcd(clock)
    lease = found.grant(3600)
    found.put(KEYS.leader, "db1", lease)
    found.put(KEYS.epoch, "4")
    return found


@pytest.fixture
def operator(etcd: FakeEtcd, clock: Time) -> Operator:
    return Operator(etcd.client(), KEYS, clock, "operator anna", "desk")


# keys


def test_a_maintenance_ends_by_itself_with_its_drain(operator: Operator, etcd: FakeEtcd, clock: Time) -> None:
    node_keys.begin(operator, dataclasses.replace(WORK, node="arc1"), 60, ["db2"], DRAIN)
    assert {KEYS.maintenance("arc1"), KEYS.archive_drain("arc1")} <= set(etcd.keys())
    clock.forward(61)
    assert "arc1" not in str(etcd.keys())


def test_it_is_taken_over_and_then_ends_later(operator: Operator, etcd: FakeEtcd, clock: Time) -> None:
    arc = dataclasses.replace(WORK, node="arc1")
    node_keys.begin(operator, arc, 60, [], DRAIN)
    node_keys.begin(operator, dataclasses.replace(arc, stopped=True), 600, [], DRAIN)
    clock.forward(100)
    assert parse_maintenance("arc1", etcd.value(KEYS.maintenance("arc1")) or "").stopped
    assert etcd.value(KEYS.archive_drain("arc1"))
    assert node_keys.end(operator, "arc1")
    assert "arc1" not in str(etcd.keys())
    assert not node_keys.end(operator, "arc1")


def test_somebody_elses_drain_stays(operator: Operator, etcd: FakeEtcd) -> None:
    etcd.put(KEYS.archive_drain("arc1"), '{"by":"operator","why":"mine"}')
    node_keys.begin(operator, dataclasses.replace(WORK, node="arc1"), 60, [], DRAIN)
    assert "mine" in (etcd.value(KEYS.archive_drain("arc1")) or "")
    node_keys.end(operator, "arc1")
    assert "mine" in (etcd.value(KEYS.archive_drain("arc1")) or "")


def test_never_two_at_once(operator: Operator, etcd: FakeEtcd) -> None:
    etcd.put(KEYS.maintenance("db1"), "{}")
    with pytest.raises(Refused, match="somebody else works"):
        node_keys.begin(operator, WORK, 60, ["db1", "wit1"])
    assert len(etcd.leases) == 1, "nothing is left of it"


def test_whoever_was_faster_wins(operator: Operator, etcd: FakeEtcd) -> None:
    node_keys.begin(operator, WORK, 60, [])
    etcd_put = lambda: etcd.put(KEYS.maintenance("db2"), "{}")  # noqa: E731
    reads: list[Callable[[], None]] = [lambda: None, etcd_put]

    def next_hook() -> None:
        reads.pop(0)()
        if reads:
            etcd.before_txn = next_hook

    etcd.before_txn = next_hook
    with pytest.raises(Refused):
        node_keys.end(operator, "db2")


def test_a_key_that_cannot_be_read_still_says_hands_off() -> None:
    for text in ("", "[]", "{", "\\xff", '{"by":3}'):
        assert parse_maintenance("db2", text).node == "db2"


# fence


def intent(node: str = "db2", lease: int = 0, revision: int = 0) -> FenceIntent:
    return FenceIntent(node, 5, "by-hand-5", "anna", Leader("db1", lease, revision), "odd")


def of(etcd: FakeEtcd, node: str = "db2") -> FenceIntent:
    leader = etcd.pairs[KEYS.leader]
    return intent(node, leader.lease, leader.mod_revision)


class Device:
    def __init__(self, power: str = "on", *, works: bool = True) -> None:
        self.now, self.works, self.asked = power, works, list[str]()

    def power(self, *, within: float) -> str:
        del within
        return self.now

    def switch_off(self, *, within: float, may: Callable[[], bool] = lambda: True) -> str:
        del within, may
        return self._to("off")

    def switch_on(self, *, within: float) -> str:
        del within
        return self._to("on")

    def _to(self, power: str) -> str:
        self.asked.append(power)
        if self.works:
            self.now = power
        return "done"


def means(operator: Operator, device: Device | None = None, **changes: Any) -> node_fence.Means:
    usual = node_fence.Means(operator, device, lambda: "db1", lambda: True, lambda _: None)
    return dataclasses.replace(usual, **changes)


def answered(etcd: FakeEtcd, node: str, epoch: int = 5) -> None:
    etcd.put(KEYS.fenced(node), json.dumps({"epoch": epoch, "postgres": "stopped", "boot": "b"}))


def test_the_agents_own_word_is_the_proof(operator: Operator, etcd: FakeEtcd) -> None:
    wanted = of(etcd)
    found = node_fence.fence(
        wanted, ["db1"],
        means(operator, say=lambda text: answered(etcd, "db2") if "stands" in text else None),
        power=False, heir="",
    )  # fmt: skip
    assert found == node_fence.Fenced("its agent says that its PostgreSQL is stopped", cut=False)
    assert etcd.value(KEYS.fence("db2")) == fence_text(wanted)
    assert etcd.value(KEYS.epoch) == "5"
    assert etcd.value(KEYS.leader) == "db1"


def test_a_word_of_an_older_epoch_is_none(operator: Operator, etcd: FakeEtcd) -> None:
    say = lambda text: answered(etcd, "db2", 4) if "stands" in text else None  # noqa: E731
    with pytest.raises(StepFailed, match="nothing proves"):
        node_fence.fence(of(etcd), [], means(operator, say=say), power=False, heir="")
    assert etcd.value(KEYS.fence("db2")), "it stands: its agent obeys as soon as it can"


def test_who_says_nothing_loses_its_power(operator: Operator, etcd: FakeEtcd) -> None:
    device = Device()
    found = node_fence.fence(of(etcd), [], means(operator, device), power=False, heir="")
    assert (found.cut, device.asked) == (True, ["off"])


def test_an_order_to_switch_off_is_no_proof(operator: Operator, etcd: FakeEtcd) -> None:
    with pytest.raises(StepFailed, match="does not say that it is off") as failed:
        node_fence.fence(of(etcd), [], means(operator, Device(works=False)), power=True, heir="")
    assert "fence of db2 stands" in failed.value.last_done


def test_power_comes_first_where_it_is_asked_for(operator: Operator, etcd: FakeEtcd) -> None:
    device = Device()
    answered(etcd, "db2")
    assert node_fence.fence(of(etcd), [], means(operator, device), power=True, heir="").cut


def test_a_primary_that_is_silent_gives_the_leader_key_away(operator: Operator, etcd: FakeEtcd) -> None:
    leads = iter(["db1", None, "db2"])
    found = node_fence.fence(
        of(etcd, "db1"), ["db2"], means(operator, Device(), leads=lambda: next(leads, "db2")), power=True,
        heir="db2",
    )  # fmt: skip
    assert etcd.value(KEYS.leader) is None
    assert found.took_over


def test_nobody_is_waited_for_where_nobody_can_take_over(operator: Operator, etcd: FakeEtcd) -> None:
    found = node_fence.fence(of(etcd, "db1"), [], means(operator, Device()), power=True, heir="")
    assert found.took_over is None


def test_it_is_said_when_nobody_has_taken_over(operator: Operator, etcd: FakeEtcd) -> None:
    with pytest.raises(StepFailed, match="has not taken over"):
        node_fence.fence(of(etcd, "db1"), [], means(operator, Device("off")), power=True, heir="db2")


@pytest.mark.parametrize(
    "moved",
    [
        lambda e: e.put(KEYS.leader, "db2"),
        lambda e: e.put(KEYS.leader, "db1"),
        lambda e: e.put(KEYS.epoch, "5"),
        lambda e: e.put(KEYS.incident, "{}"),
        lambda e: e.put(KEYS.fence("db1"), "{}"),
        lambda e: e.put(KEYS.fence("db2"), "{}"),
    ],
)
def test_nothing_is_fenced_after_what_was_judged_has_moved(
    operator: Operator, etcd: FakeEtcd, moved: Callable[[FakeEtcd], None]
) -> None:
    wanted = of(etcd)
    moved(etcd)
    with pytest.raises(Refused, match="just changed"):
        node_keys.fence(operator, wanted, ["db1"])


def test_an_answer_that_was_lost_is_not_taken_for_a_no(operator: Operator, etcd: FakeEtcd) -> None:
    etcd.lose_answer()
    node_keys.fence(operator, of(etcd), [])
    assert etcd.value(KEYS.fence("db2"))


def test_the_leader_key_of_another_leadership_stays(operator: Operator, etcd: FakeEtcd) -> None:
    wanted = of(etcd, "db1")
    node_keys.fence(operator, wanted, [])
    etcd.put(KEYS.leader, "db1", etcd.grant(60))
    with pytest.raises(Refused, match="just changed"):
        node_keys.release(operator, wanted)
    etcd.delete(KEYS.leader)
    assert not node_keys.release(operator, wanted)


def test_it_is_switched_on_before_its_fence_goes(operator: Operator, etcd: FakeEtcd) -> None:
    node_keys.fence(operator, of(etcd), [])
    device = Device("off")
    assert node_fence.unfence("db2", 5, means(operator, device), within=10)
    assert (device.asked, etcd.value(KEYS.fence("db2"))) == (["on"], None)
    assert not node_fence.unfence("db2", 5, means(operator, well=lambda: False), within=10)


def test_what_cannot_be_switched_on_stays_fenced(operator: Operator, etcd: FakeEtcd) -> None:
    node_keys.fence(operator, of(etcd), [])
    with pytest.raises(StepFailed, match="cannot be switched on"):
        node_fence.unfence("db2", 5, means(operator, Device("off", works=False)), within=10)
    with pytest.raises(Refused, match="another one"):
        node_keys.unfence(operator, "db2", 4)
    assert etcd.value(KEYS.fence("db2"))


# stop, start


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Order]]:
    given: list[Order] = []

    def order(_: Operator, wanted: Order, **__: Any) -> str:
        if wanted.unit == "broken.service":
            raise StepFailed("masked")
        given.append(wanted)
        return "done"

    monkeypatch.setattr(maintenance, "order", order)
    return iter([given])


def stopping(operator: Operator, **changes: Any) -> node_stop.Means:
    usual = node_stop.Means(operator, lambda: True, lambda: True, lambda: None, lambda: "7", lambda _: None)
    return dataclasses.replace(usual, **changes)


def test_units_stop_in_order_and_start_the_other_way(
    operator: Operator, orders: Iterator[list[Order]]
) -> None:
    gave: list[str] = []
    means = stopping(operator, give_lead=lambda: gave.append("lead"))
    node_stop.stop("wit1", ("prometheus.service", "etcd.service"), means)
    node_stop.start("wit1", ("prometheus.service", "etcd.service"), means)
    given = next(orders)
    assert [(o.verb, o.unit) for o in given] == [
        ("stop", "prometheus.service"), ("stop", "etcd.service"),
        ("start", "etcd.service"), ("start", "prometheus.service"),
    ]  # fmt: skip
    assert gave == ["lead"]


def test_what_was_stopped_before_is_named(operator: Operator, orders: Iterator[list[Order]]) -> None:
    with pytest.raises(StepFailed) as failed:
        node_stop.stop("arc1", ("nginx.service", "broken.service"), stopping(operator))
    assert failed.value.last_done == "nginx.service on arc1 is stopped"
    with pytest.raises(StepFailed, match="not well"):
        node_stop.start("arc1", ("nginx.service",), stopping(operator, well=lambda: False))
    assert next(orders)


def test_an_archive_node_is_out_before_anything_stops(operator: Operator, etcd: FakeEtcd) -> None:
    work = node_stop.Work("arc1", "disk", 60)
    until = node_stop.leave_alone(work, stopping(operator), ["arc2"], archive=True)
    assert until.startswith("20")
    assert etcd.value(KEYS.archive_drain("arc1"))
    with pytest.raises(StepFailed, match="still has the archive VIP"):
        node_stop.leave_alone(work, stopping(operator, drained=lambda: False), [], archive=True)
