"""One active controller: who may believe it when, and who takes over how soon."""

from __future__ import annotations

from typing import Any

from hactl.controller.election import BARRED, MARGIN, PATIENCE, TTL, Candidate, Election
from hactl.view.control_text import controller_text, standby_text
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd

KEYS = Keys("demo")


class Field:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)

    def seat(self, node: str, process: str = "a", kv: Any = None) -> Election:
        value = controller_text(node, "boot", "now", f"{node}-{process}")
        return Election(kv or self.etcd.client(), KEYS, Candidate(node, value), self.clock)

    def turns(self, *seats: Election, seconds: float = 5.0) -> None:
        for _ in range(int(seconds / 0.1)):
            for seat in seats:
                seat.step()
            self.clock.forward(0.1)

    def until_active(self, seat: Election, *others: Election, within: float = 10) -> float:
        began = self.clock.now
        while seat.claim() is None:
            self.turns(seat, *others, seconds=0.1)
            assert self.clock.now - began < within
        return self.clock.now - began


def test_the_first_one_is_active_and_the_second_one_listed_as_standing_by() -> None:
    field = Field()
    one, two = field.seat("wit1"), field.seat("db2")
    field.turns(one, two)
    assert one.claim() is not None
    assert two.claim() is None
    assert field.etcd.value(KEYS.controller) == one.claim()
    assert field.etcd.value(KEYS.standby("db2")) == standby_text("db2")
    assert field.etcd.value(KEYS.standby("wit1")) is None


def test_a_dead_one_is_replaced_within_four_seconds() -> None:
    field = Field()
    one, two = field.seat("wit1"), field.seat("db2")
    field.turns(one, two)
    assert field.until_active(two) <= 4
    assert one.claim() is None


def test_the_claim_ends_before_the_lease_does_when_keepalives_are_not_answered() -> None:
    field = Field()
    one = field.seat("wit1")
    field.turns(one)
    kept = field.clock.now
    for name in field.etcd.names:
        field.etcd.freeze(name)
    while one.claim() is not None:
        one.step()
        field.clock.forward(0.1)
    assert field.clock.now - kept <= TTL - MARGIN + 0.1


def test_it_counts_from_when_a_keepalive_was_sent_not_from_when_it_was_answered() -> None:
    field = Field()
    kv = field.etcd.client()
    slow = field.seat("wit1", kv=kv)
    field.turns(slow)
    answer = kv.keepalive

    def late(lease: int, *, within: float) -> int:
        ttl = answer(lease, within=within)
        field.clock.forward(2.0)
        return ttl

    kv.keepalive = late  # type: ignore[method-assign]
    field.clock.forward(0.6)
    slow.step()
    field.clock.forward(TTL - MARGIN - 2.0 + 0.01)
    assert slow.claim() is None


def test_a_frozen_one_that_wakes_believes_nothing() -> None:
    field = Field()
    one, two = field.seat("wit1"), field.seat("db2")
    field.turns(one, two)
    field.clock.forward(20)
    assert one.claim() is None
    field.until_active(two)
    one.step()
    assert one.claim() is None


def test_an_election_of_etcd_costs_the_claim_only_for_as_long_as_it_lasts() -> None:
    field = Field()
    one = field.seat("wit1")
    field.turns(one)
    field.etcd.freeze("db1")
    field.etcd.freeze("db2")
    field.turns(one, seconds=2.4)
    field.etcd.heal()
    field.turns(one, seconds=0.7)
    assert one.claim() is not None


def test_on_the_primarys_node_one_waits_for_others_to_go_first() -> None:
    field = Field()
    field.etcd.put(KEYS.leader, "db1")
    one, beside, other = field.seat("wit1"), field.seat("db1"), field.seat("db2")
    field.turns(one, beside, other)
    field.etcd.delete(KEYS.controller)
    field.turns(beside, other, seconds=PATIENCE)
    assert beside.claim() is None
    assert other.claim() is not None


def test_on_the_primarys_node_one_does_not_wait_for_nobody() -> None:
    field = Field()
    field.etcd.put(KEYS.leader, "db1")
    beside = field.seat("db1")
    assert field.until_active(beside) < 0.5


def test_what_a_dead_process_of_the_same_node_left_is_taken_over_at_once() -> None:
    field = Field()
    before = field.seat("wit1", "before")
    field.turns(before)
    again = field.seat("wit1", "again")
    assert field.until_active(again) < 0.5
    before.step()
    assert before.claim() is None


def test_control_given_away_goes_to_another_one() -> None:
    field = Field()
    one, two = field.seat("wit1"), field.seat("db2")
    field.turns(one, two)
    one.yield_control("asked to")
    assert one.claim() is None
    assert field.until_active(two, one) < 0.5
    assert field.etcd.value(KEYS.standby("wit1")) is not None


def test_control_that_nobody_wants_comes_back() -> None:
    field = Field()
    one = field.seat("wit1")
    field.turns(one)
    one.yield_control("asked to")
    assert BARRED - 0.2 <= field.until_active(one) <= BARRED + 1


def test_leaving_frees_the_key_at_once() -> None:
    field = Field()
    one, two = field.seat("wit1"), field.seat("db2")
    field.turns(one, two)
    one.leave()
    assert field.etcd.value(KEYS.controller) is None
    assert field.until_active(two) < 0.5


def test_a_win_whose_answer_was_lost_is_noticed() -> None:
    field = Field()
    one = field.seat("wit1")
    one.step()  # stands, and wins in the same step
    field.etcd.delete(KEYS.controller)
    field.turns(one, seconds=0.1)
    field.etcd.lose_answer()
    assert field.until_active(one) < 1.5


def test_a_key_that_somebody_removed_ends_the_claim() -> None:
    field = Field()
    one = field.seat("wit1")
    field.turns(one)
    field.etcd.put(KEYS.controller, '{"node":"db2","id":"other"}')
    one.step()
    assert one.claim() is None
