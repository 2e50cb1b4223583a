"""Steps against an etcd in memory: what each changes, what makes it change nothing, what the journal gets."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pytest

from hactl.act.hour import AHEAD, HOUR
from hactl.act.orders import ORDER_LIVES
from hactl.decide.plan import (
    CloseIncident,
    GiveOrder,
    Mark,
    MoveEtcdLeader,
    PrimeStandby,
    Readmit,
    Reinitialize,
    ReleaseLeader,
    RunFenceAgent,
    Withdraw,
    YieldControl,
)
from hactl.view.control import FenceIntent, Mode, Proof, ProofKind
from hactl.view.control_text import parse_incident
from hactl.view.incident import Phase
from tests.support.acting import KEYS, Bench


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_opening_writes_intent_incident_epoch_and_count_at_once(bench: Bench) -> None:
    outcome = bench.did(bench.opening())
    assert outcome.mode is Mode.LEASED
    assert outcome.alive is not None
    fence, incident = (bench.etcd.pairs[k] for k in (KEYS.fence("db1"), KEYS.incident))
    assert fence.mod_revision == incident.mod_revision == bench.etcd.pairs[KEYS.epoch].mod_revision
    assert bench.etcd.value(KEYS.epoch) == "1"
    assert bench.etcd.pairs[KEYS.recent_failover(1)].lease
    open_one = parse_incident(incident.value)
    assert [s.phase for s in open_one.stamps] == [Phase.SUSPECTED, Phase.INTENT]
    assert all(s.wall for s in open_one.stamps)


def _led_anew(bench: Bench) -> None:
    bench.etcd.put(KEYS.leader, "db1", bench.lease)


CHANGES: dict[str, Callable[[Bench], None]] = {
    "the leader key was written again": _led_anew,
    "the leader key has another lease": lambda b: b.etcd.put(KEYS.leader, "db1", b.etcd.grant(20)),
    "another node leads": lambda b: b.etcd.put(KEYS.leader, "db2"),
    "nobody leads": lambda b: b.etcd.delete(KEYS.leader),
    "another controller is active": lambda b: b.etcd.put(KEYS.controller, "{}"),
    "no controller is active": lambda b: b.etcd.delete(KEYS.controller),
    "a fence stands": lambda b: b.etcd.put(KEYS.fence("db1"), "{}"),
    "an incident is open": lambda b: b.etcd.put(KEYS.incident, "{}"),
    "the epoch was raised": lambda b: b.etcd.put(KEYS.epoch, "1"),
    "somebody paused": lambda b: b.etcd.put(KEYS.paused, "{}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_opening_does_nothing_when(bench: Bench, change: str) -> None:
    action = bench.opening()
    CHANGES[change](bench)
    bench.refused(action)


def test_opening_that_lost_its_answer_was_done_once(bench: Bench) -> None:
    action = bench.opening()
    bench.etcd.before_txn = bench.etcd.lose_answer
    assert bench.did(action).alive is not None
    assert bench.etcd.value(KEYS.epoch) == "1"


def test_without_the_lease_not_even_an_intent_is_written(bench: Bench) -> None:
    action = bench.opening()
    bench.claim = None
    bench.refused(action)
    assert bench.book.lines == []


def test_without_a_journal_nothing_is_done(bench: Bench) -> None:
    action = bench.opening()
    bench.book.fails = True
    bench.refused(action)


def test_a_result_that_cannot_be_written_does_not_undo_the_step(bench: Bench) -> None:
    bench.book.fails_result = True
    assert "not in the journal" in bench.did(bench.opening()).said


def test_the_first_failure_ends_the_plan(bench: Bench) -> None:
    release = ReleaseLeader(bench.intent, Proof(ProofKind.POWER_OFF, "db1", 1, 0, "off"))
    outcomes = bench.do(release, bench.opening())
    assert [o.done for o in outcomes] == [False]


def test_a_fence_agent_needs_its_intent(bench: Bench) -> None:
    assert "no fence intent" in bench.refused(RunFenceAgent("db1", 1, bench.clock.now + 1))
    assert bench.calls == []


def test_a_fence_agent_is_not_started_too_late(bench: Bench) -> None:
    bench.opened()
    assert "too late" in bench.refused(RunFenceAgent("db1", 1, bench.clock.now - 0.1))
    assert bench.calls == []


def test_a_fence_agent_is_started_for_its_epoch(bench: Bench) -> None:
    bench.opened()
    bench.did(RunFenceAgent("db1", 1, bench.clock.now + 1))
    assert bench.calls == [("fence", "db1", 1, bench.clock.now + 1, True)]


def test_priming_needs_its_fence(bench: Bench) -> None:
    bench.refused(PrimeStandby("db2", "192.0.2.11", 1))
    bench.opened()
    bench.refused(PrimeStandby("db2", "192.0.2.11", 2))
    bench.did(PrimeStandby("db2", "192.0.2.11", 1))
    assert json.loads(bench.etcd.value(KEYS.prime("db2")) or "") == {"epoch": 1, "reject": "192.0.2.11"}


def _release(bench: Bench, intent: FenceIntent, *, node: str = "db1", epoch: int = 1) -> ReleaseLeader:
    return ReleaseLeader(intent, Proof(ProofKind.POWER_OFF, node, epoch, bench.clock.now, "off"))


def test_releasing_deletes_the_leader_key_that_the_intent_names(bench: Bench) -> None:
    bench.did(_release(bench, bench.opened()))
    assert bench.etcd.value(KEYS.leader) is None


@pytest.mark.parametrize(("node", "epoch"), [("db2", 1), ("db1", 2)])
def test_a_proof_of_something_else_releases_nothing(bench: Bench, node: str, epoch: int) -> None:
    bench.refused(_release(bench, bench.opened(), node=node, epoch=epoch))


@pytest.mark.parametrize(
    "change",
    [
        "the leader key was written again",
        "another node leads",
        "another controller is active",
        "somebody paused",
    ],
)
def test_releasing_does_nothing_when(bench: Bench, change: str) -> None:
    intent = bench.opened()
    CHANGES[change](bench)
    bench.refused(_release(bench, intent))


def test_releasing_does_nothing_when_the_fence_is_gone(bench: Bench) -> None:
    intent = bench.opened()
    bench.etcd.delete(KEYS.fence("db1"))
    bench.refused(_release(bench, intent))


def test_releasing_twice_is_no_failure(bench: Bench) -> None:
    intent = bench.opened()
    bench.did(_release(bench, intent))
    assert "gone already" in bench.did(_release(bench, intent)).said


def test_a_mark_is_kept_once_with_its_own_moment(bench: Bench) -> None:
    bench.opened()
    seen = bench.clock.now
    bench.clock.forward(0.2)
    bench.did(Mark("failover-1", Phase.PROOF, "db1", "power off", seen))
    bench.did(Mark("failover-1", Phase.PROOF, "db1", "power off", seen))
    stamps = parse_incident(bench.etcd.value(KEYS.incident) or "").stamps
    assert [s.phase for s in stamps] == [Phase.SUSPECTED, Phase.INTENT, Phase.PROOF]
    assert stamps[-1].mono_ms == int(seen * 1000)
    assert len([line for line in bench.book.lines if line[0] == "event"]) == 1


def test_a_mark_of_another_incident_is_refused(bench: Bench) -> None:
    bench.opened()
    assert "failover-1 is open" in bench.refused(Mark("failover-2", Phase.PROOF, "db1"))


def test_withdrawing_takes_everything_back_at_once(bench: Bench) -> None:
    bench.opened()
    bench.did(PrimeStandby("db2", "192.0.2.11", 1))
    bench.etcd.put(KEYS.primed("db2"), "{}")
    bench.etcd.put(KEYS.fenced("db1"), "{}")
    bench.did(Withdraw("failover-1", "db1", 1, "it lives", "db2"))
    for key in (KEYS.fence("db1"), KEYS.fenced("db1"), KEYS.prime("db2"), KEYS.primed("db2"), KEYS.incident):
        assert bench.etcd.value(key) is None
    assert ("call off", "db1") in bench.calls
    closed = bench.book.lines[-1][3]["incident"]
    assert closed["outcome"] == "it lives"
    assert closed["stamps"][-1]["phase"] == "withdrawn"
    assert bench.etcd.value(KEYS.leader) == "db1"


def test_withdrawing_what_another_epoch_put_is_refused(bench: Bench) -> None:
    bench.opened()
    bench.refused(Withdraw("failover-1", "db1", 2, "it lives", "db2"))


def test_withdrawing_a_fence_whose_incident_is_gone(bench: Bench) -> None:
    bench.opened()
    bench.etcd.delete(KEYS.incident)
    bench.did(Withdraw("", "db1", 1, "left over"))
    assert bench.etcd.value(KEYS.fence("db1")) is None


def test_readmitting_removes_the_fence_and_the_refusal(bench: Bench) -> None:
    bench.opened()
    bench.did(PrimeStandby("db2", "192.0.2.11", 1))
    bench.did(Readmit("db1", 1, "db2"))
    assert bench.etcd.value(KEYS.fence("db1")) is None
    assert bench.etcd.value(KEYS.prime("db2")) is None


def test_readmitting_of_another_epoch_is_refused(bench: Bench) -> None:
    bench.opened()
    bench.refused(Readmit("db1", 2, "db2"))


def test_a_refusal_that_is_left_alone_is_ended_by_itself(bench: Bench) -> None:
    bench.opened()
    bench.did(PrimeStandby("db2", "192.0.2.11", 1))
    bench.etcd.delete(KEYS.fence("db1"))
    bench.refused(Readmit("", 2, "db2"))
    bench.did(Readmit("", 1, "db2"))
    assert bench.etcd.value(KEYS.prime("db2")) is None


def test_closing_keeps_the_whole_incident_in_the_journal(bench: Bench) -> None:
    bench.opened()
    bench.did(CloseIncident("failover-1", "db2 is primary"))
    assert bench.etcd.value(KEYS.incident) is None
    closed = bench.book.lines[-1][3]["incident"]
    assert (closed["id"], closed["outcome"]) == ("failover-1", "db2 is primary")


def test_an_order_replaces_the_last_answer_and_is_counted(bench: Bench) -> None:
    bench.etcd.put(KEYS.done("db2"), "{}")
    bench.did(GiveOrder("db2", "restart", "keepalived.service", "restart:keepalived.service"))
    order = json.loads(bench.etcd.value(KEYS.order("db2")) or "")
    assert order == {"id": "id1", "verb": "restart", "unit": "keepalived.service"}
    assert bench.etcd.value(KEYS.done("db2")) is None
    assert bench.etcd.pairs[KEYS.budget("db2", "restart:keepalived.service", "id1")].lease


def test_an_order_that_nobody_answers_is_taken_back(bench: Bench) -> None:
    """An agent that comes back tomorrow must not copy anew what is the last good copy by then."""
    bench.did(Reinitialize("db2"))
    bench.clock.forward(ORDER_LIVES - 1)
    assert bench.etcd.value(KEYS.order("db2")) is not None
    bench.clock.forward(2)
    assert bench.etcd.value(KEYS.order("db2")) is None


def test_a_fenced_node_gets_no_orders(bench: Bench) -> None:
    bench.opened()
    bench.refused(GiveOrder("db1", "restart", "patroni.service"))


def test_a_copy_is_made_anew_of_a_standby_only(bench: Bench) -> None:
    assert "last good copy" in bench.refused(Reinitialize("db1"))
    bench.did(Reinitialize("db2"))
    bench.etcd.delete(KEYS.leader)
    assert "nobody" in bench.refused(Reinitialize("db2"))


def test_a_copy_is_ordered_and_counted_in_one_transaction(bench: Bench) -> None:
    bench.did(Reinitialize("db2"))
    assert json.loads(bench.etcd.value(KEYS.order("db2")) or "")["verb"] == "reinit"
    assert bench.etcd.pairs[KEYS.budget("db2", "reinit", "id1")].lease


def test_no_copy_is_ordered_when_the_leader_has_just_changed(bench: Bench) -> None:
    bench.etcd.before_txn = lambda: bench.etcd.put(KEYS.leader, "db2", bench.lease)
    (outcome,) = bench.do(Reinitialize("db2"))
    assert not outcome.done
    assert bench.etcd.value(KEYS.order("db2")) is None


def test_etcds_leader_is_moved_by_name(bench: Bench) -> None:
    bench.did(MoveEtcdLeader("wit1"))
    assert bench.etcd.leading == "wit1"
    assert not bench.do(MoveEtcdLeader("arc1"))[0].done


def test_control_is_given_away(bench: Bench) -> None:
    bench.did(YieldControl("the primary is here"))
    assert bench.calls == [("yield", "the primary is here")]


def test_a_controller_that_ends_begins_nothing(bench: Bench) -> None:
    action = bench.opening()
    bench.hands = dataclasses.replace(bench.hands, stopping=lambda: True)
    assert "about to end" in bench.refused(action)


def test_a_lease_granted_ahead_is_used_once_and_lives_for_an_hour_from_then(bench: Bench) -> None:
    hours = bench.hands.hours
    hours.prepare()
    granted = set(bench.etcd.leases)
    bench.clock.forward(AHEAD - 1)
    lease = hours.take()
    assert lease in granted
    assert bench.etcd.leases[lease].ends >= bench.clock.now + HOUR
    assert hours.take() not in granted


def test_one_that_was_granted_too_long_ago_is_not_used(bench: Bench) -> None:
    hours = bench.hands.hours
    hours.prepare()
    granted = set(bench.etcd.leases)
    bench.clock.forward(AHEAD + 1)
    assert hours.take() not in granted


def test_releasing_stamps_the_incident_in_the_same_transaction(bench: Bench) -> None:
    intent = bench.opened()
    proof = Proof(ProofKind.POWER_OFF, "db1", 1, bench.clock.now - 0.1, "off")
    bench.did(ReleaseLeader(intent, proof, primed=True, switched_off=True))
    pair = bench.etcd.pairs[KEYS.incident]
    incident = parse_incident(pair.value)
    assert [s.phase for s in incident.stamps[-3:]] == [Phase.PROOF, Phase.PRIMED, Phase.RELEASED]
    assert incident.switched_off, "whoever goes on gives the power back"
    assert all(s.wall and s.by for s in incident.stamps[-3:])


def test_an_incident_that_cannot_be_read_holds_no_release_up(bench: Bench) -> None:
    intent = bench.opened()
    bench.etcd.put(KEYS.incident, "{")
    bench.did(_release(bench, intent))
    assert bench.etcd.value(KEYS.leader) is None
