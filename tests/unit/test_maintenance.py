"""May a node be drained or stopped: every reason against it, and the keys and records an operator writes."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

import pytest

from hactl.act import maintenance
from hactl.act.maintenance import Operator
from hactl.decide.maintenance import asked_by_anybody, may_drain, ok_to_stop
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.view.archive import ArchiveFacts, Drain, DrainBy
from hactl.view.control import Order
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.journal_check import verify
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.model import Probe, State, Unknown
from hactl.view.operation import Holder
from hactl.view.parse.archive import parse_drain
from tests.fakes.etcd import FakeClock, FakeEtcd, FakeEtcdKv
from tests.support.views import (
    Change,
    after,
    agent,
    archive,
    archive_lost,
    demo_spec,
    etcd_lost,
    host_lost,
    keys,
)

SPEC = demo_spec()
VIP = str(SPEC.vips.archive.address.ip)
WELL = Probe(State.OK)


def reported(node: str, **changes: Any) -> Any:
    facts = {"storage": WELL, "archive": ArchiveFacts(room=WELL, write=WELL)}
    return agent(node, **{**facts, **changes})


def sees(*changes: Change, dcs: dict[str, Any] | None = None, **facts: Any) -> Any:
    """The healthy installation with agents that report; `arc1` and the like replace one's facts."""
    names = ("db1", "db2", "wit1", "arc1", "arc2")
    known = {n: facts.get(n) or (reported(n, vips=()) if n.startswith("arc") else agent(n)) for n in names}
    own = {"facts": known, "active": "wit1", "standing_by": ("db1", "db2"), **(dcs or {})}
    return after(keys(**own), *changes)


def codes(answer: Any) -> list[str]:
    return [v.code for v in answer.vetoes]


def test_whoever_stops_a_node_outside_of_hactl_waits_for_the_command_that_is_at_work() -> None:
    work = Holder("operator anna", "desk", 7, "deploy all nodes", "2026-01-01T00:00:00+00:00", "", "x")
    assert codes(asked_by_anybody(SPEC, sees(dcs={"operation": work}), "arc1")) == ["OPERATION"]
    assert asked_by_anybody(SPEC, sees(), "arc1").ok
    assert ok_to_stop(SPEC, sees(dcs={"operation": work}), "arc1").ok


def test_a_node_may_go_while_another_one_is_fit() -> None:
    assert may_drain(SPEC, sees(), "arc1").ok
    assert ok_to_stop(SPEC, sees(), "arc1").ok


@pytest.mark.parametrize(
    ("view", "why"),
    [
        pytest.param(lambda: sees(archive_lost("arc2")), "L0", id="its ports are closed"),
        pytest.param(lambda: sees(archive("arc2", L2=Probe(State.FAILED, "slow"))), "slow", id="no index"),
        pytest.param(lambda: sees(archive("arc2", L2=Probe(State.UNKNOWN))), "unknown", id="not looked at"),
        pytest.param(
            lambda: sees(dcs={"drains": {"arc2": Drain("arc2", DrainBy.LADDER, "x")}}),
            "drained by ladder",
            id="drained",
        ),
        pytest.param(
            lambda: sees(arc2=reported("arc2", storage=Probe(State.FAILED, "gone"))), "gone", id="no storage"
        ),
        pytest.param(
            lambda: sees(arc2=reported("arc2", archive=ArchiveFacts(out=True, out_for="not mounted"))),
            "not mounted", id="its agent keeps it out",
        ),
        pytest.param(
            lambda: sees(arc2=reported("arc2", archive=None)), "does not report", id="an older agent"
        ),
    ],
)  # fmt: skip
def test_the_last_fit_node_stays(view: Any, why: str) -> None:
    for answer in (may_drain(SPEC, view(), "arc1"), ok_to_stop(SPEC, view(), "arc1")):
        assert codes(answer) == ["NO_OTHER_ARCHIVE"]
        assert why in answer.vetoes[0].evidence


def test_all_reasons_are_given_at_once() -> None:
    view = sees(
        archive_lost("arc2"),
        dcs={"drains": {"arc1": Drain("arc1", DrainBy.DEPLOY, "")}, "paused": True, "incident": "{}"},
    )
    assert codes(may_drain(SPEC, view, "arc1")) == ["NO_OTHER_ARCHIVE", "ALREADY_DRAINED", "PAUSED"]
    assert codes(ok_to_stop(SPEC, view, "arc1")) == ["INCIDENT_OPEN", "NO_OTHER_ARCHIVE"]


def test_without_its_agent_nobody_would_obey() -> None:
    assert codes(may_drain(SPEC, sees(arc1=reported("arc1", archive=None)), "arc1")) == ["AGENT_SILENT"]


def test_without_etcd_nobody_knows() -> None:
    view = dataclasses.replace(sees(), control=Unknown("no quorum"))
    assert codes(may_drain(SPEC, view, "arc1")) == codes(ok_to_stop(SPEC, view, "arc1")) == ["ETCD_UNKNOWN"]


def test_who_holds_the_address_is_drained_before() -> None:
    view = sees(arc1=reported("arc1", vips=(VIP,)))
    assert codes(ok_to_stop(SPEC, view, "arc1")) == ["HOLDS_VIP"]
    assert may_drain(SPEC, view, "arc1").ok


def test_a_primary_is_not_stopped_and_a_standby_leaves_a_gap() -> None:
    assert codes(ok_to_stop(SPEC, sees(), "db1")) == ["IS_PRIMARY"]
    answer = ok_to_stop(SPEC, sees(), "db2")
    assert answer.ok
    assert "no standby" in answer.notes[0]
    assert codes(ok_to_stop(SPEC, sees(host_lost("db2")), "db1")) == [
        "IS_PRIMARY", "NO_OTHER_DATABASE", "ETCD_QUORUM",
    ]  # fmt: skip


def test_etcd_keeps_its_majority_and_somebody_controls() -> None:
    answer = ok_to_stop(SPEC, sees(), "wit1")
    assert answer.ok
    assert any("the controller goes to db1" in note for note in answer.notes)
    assert any("no other loss" in note for note in answer.notes)
    assert codes(ok_to_stop(SPEC, sees(etcd_lost("db2")), "wit1")) == ["ETCD_QUORUM"]
    alone = sees(dcs={"standing_by": ()})
    assert codes(ok_to_stop(SPEC, alone, "wit1")) == ["NO_OTHER_CONTROLLER"]


KEYS = Keys("demo")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def wall(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        self.now += 0.5
        return self.now


@pytest.fixture
def kv() -> FakeEtcdKv:
    return FakeEtcd(FakeClock()).client()


@pytest.fixture
def operator(kv: FakeEtcdKv) -> Operator:
    return Operator(kv, KEYS, Clock(), "operator anna", "desk")


DRAIN = Drain("arc1", DrainBy.OPERATOR, "new disk", within=5.0)


def test_a_drain_is_written_once(operator: Operator, kv: FakeEtcdKv) -> None:
    maintenance.drain(operator, DRAIN, ["arc2"])
    found = kv.range(KEYS.archive_drain("arc1"), within=1).first
    assert found is not None
    assert parse_drain("arc1", found.value) == DRAIN
    with pytest.raises(Refused, match="already"):
        maintenance.drain(operator, DRAIN, ["arc2"])
    assert maintenance.undrain(operator, "arc1")
    assert not maintenance.undrain(operator, "arc1")


def test_never_two_by_our_own_hand_unless_forced(operator: Operator) -> None:
    maintenance.drain(operator, DRAIN, ["arc2"])
    other = dataclasses.replace(DRAIN, node="arc2")
    with pytest.raises(Refused):
        maintenance.drain(operator, other, ["arc1"])
    maintenance.drain(operator, dataclasses.replace(other, force=True), ["arc1"])


ORDER = Order("arc1", "7", "restart", "orthanc.service")


def answered(kv: FakeEtcdKv, text: str) -> None:
    def answer() -> None:
        while kv.range(KEYS.order("arc1"), within=1).first is None:
            pass
        kv.txn((), (Put(KEYS.done("arc1"), text),), within=1)

    threading.Thread(target=answer, daemon=True).start()


def test_an_order_is_answered_and_taken_back(operator: Operator, kv: FakeEtcdKv) -> None:
    answered(kv, '{"id":"7","ok":true,"said":"done"}')
    assert maintenance.order(operator, ORDER, within=20) == "done"
    assert kv.range(KEYS.order("arc1"), within=1).first is None


def test_an_order_that_fails_says_why(operator: Operator, kv: FakeEtcdKv) -> None:
    answered(kv, '{"id":"7","ok":false,"said":"masked"}')
    with pytest.raises(StepFailed, match="masked"):
        maintenance.order(operator, ORDER, within=20)


def test_an_agent_that_is_away_does_nothing_later(operator: Operator, kv: FakeEtcdKv) -> None:
    with pytest.raises(Unreachable, match="does not answer"):
        maintenance.order(operator, ORDER, within=1)
    assert kv.range(KEYS.order("arc1"), within=1).first is None


def test_another_s_order_is_not_overwritten(operator: Operator, kv: FakeEtcdKv) -> None:
    kv.txn((), (Put(KEYS.order("arc1"), "{}"),), within=1)
    with pytest.raises(Refused, match="already"):
        maintenance.order(operator, ORDER, within=1)


def first() -> Record:
    return sealed(
        Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "controller", Kind.EVENT, "began")
    )


def test_what_a_person_does_is_in_the_chain(operator: Operator, kv: FakeEtcdKv) -> None:
    with pytest.raises(Unreachable, match="no journal"):
        maintenance.note(operator, "archive-drain", {})
    kv.txn((), (Put(KEYS.journal(1), text_of(first())),), within=1)
    assert maintenance.note(operator, "archive-drain", {"node": "arc1", "reason": "new disk"}) == 2
    found = kv.range(KEYS.journal(2), within=1).first
    assert found is not None
    record = parse_record(found.value)
    assert (record.actor, record.node, record.kind) == ("operator anna", "desk", Kind.EVENT)
    assert record.prev == first().hash
    assert verify([first(), record]) == ()


def test_whoever_comes_second_takes_the_next_number(operator: Operator, kv: FakeEtcdKv) -> None:
    kv.txn((), (Put(KEYS.journal(1), text_of(first())),), within=1)
    real, raced = kv.ranges, []

    def slow(*args: Any, **kwargs: Any) -> Any:
        reply = real(*args, **kwargs)
        if not raced:  # the controller writes between the look and the write
            raced.append(True)
            second = sealed(dataclasses.replace(first(), seq=2, prev=first().hash, action="ticked"))
            kv.txn((), (Put(KEYS.journal(2), text_of(second)),), within=1)
        return reply

    kv.ranges = slow  # type: ignore[method-assign]
    assert maintenance.note(operator, "archive-drain", {}) == 3


def test_waiting_bears_a_silent_moment(operator: Operator) -> None:
    answers = iter([Unreachable("an election"), False, True])

    def true() -> bool:
        found = next(answers)
        if isinstance(found, Unreachable):
            raise found
        return found

    assert maintenance.wait_until(operator, true, 20)
    assert not maintenance.wait_until(operator, lambda: False, 1)
