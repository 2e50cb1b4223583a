"""While a deployment runs, hactl's own acts rest; and never longer than that."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hactl.deploy import rest
from hactl.deploy.rest import Rest, resting
from hactl.errors import Unreachable
from hactl.ports import MaybeDone
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd, FakeEtcdKv

KEYS = Keys("demo")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def etcd(clock: FakeClock) -> FakeEtcd:
    return FakeEtcd(clock)


def one(etcd: FakeEtcd) -> Rest:
    return Rest(etcd.client(), KEYS, "somebody@here")


def no_words(_: str) -> None:
    raise AssertionError("nothing is to be said")


def test_the_key_says_who_and_why_and_goes_with_the_deployment(etcd: FakeEtcd) -> None:
    with resting(one(etcd), no_words):
        assert json.loads(etcd.value(KEYS.paused) or "") == {"reason": "deploy", "by": "somebody@here"}
    assert etcd.value(KEYS.paused) is None


def test_it_goes_too_when_the_deployment_fails(etcd: FakeEtcd) -> None:
    with pytest.raises(ZeroDivisionError), resting(one(etcd), no_words):
        raise ZeroDivisionError
    assert etcd.value(KEYS.paused) is None


def test_a_killed_deployment_leaves_nothing_for_longer_than_a_minute(
    etcd: FakeEtcd, clock: FakeClock
) -> None:
    one(etcd).begin()
    clock.forward(rest.TTL - 1)
    assert etcd.value(KEYS.paused)
    clock.forward(2)
    assert etcd.value(KEYS.paused) is None


def test_a_long_deployment_keeps_it(etcd: FakeEtcd, clock: FakeClock) -> None:
    mine = one(etcd)
    mine.begin()
    for _ in range(20):
        clock.forward(rest.BEAT)
        mine.beat()
    assert etcd.value(KEYS.paused)


def test_somebodys_own_pause_is_said_and_left_alone(etcd: FakeEtcd) -> None:
    etcd.put(KEYS.paused, '{"reason": "works on the roof"}')
    said: list[str] = []
    with resting(one(etcd), said.append):
        pass
    assert "works on the roof" in said[0]
    assert etcd.value(KEYS.paused)


def test_when_it_ends_first_the_deployment_s_own_follows(etcd: FakeEtcd, clock: FakeClock) -> None:
    etcd.put(KEYS.paused, '{"reason": "works on the roof"}', etcd.grant(30))
    mine = one(etcd)
    mine.begin()
    mine.beat()
    assert "roof" in (etcd.value(KEYS.paused) or "")
    clock.forward(31)
    mine.beat()
    assert "deploy" in (etcd.value(KEYS.paused) or "")
    mine.end()
    assert etcd.value(KEYS.paused) is None


def test_a_pause_that_was_lifted_meanwhile_stays_lifted(etcd: FakeEtcd) -> None:
    mine = one(etcd)
    mine.begin()
    etcd.delete(KEYS.paused)
    mine.beat()
    assert etcd.value(KEYS.paused) is None


def test_after_an_outage_that_outlived_the_lease_it_is_put_again(etcd: FakeEtcd, clock: FakeClock) -> None:
    mine = one(etcd)
    mine.begin()
    clock.forward(rest.TTL + 1)
    assert etcd.value(KEYS.paused) is None
    mine.beat()
    assert etcd.value(KEYS.paused)


def test_without_etcd_the_deployment_goes_on_and_tries_again(etcd: FakeEtcd) -> None:
    for member in ("db1", "db2"):
        etcd.kill(member)
    said: list[str] = []
    mine = one(etcd)
    with resting(mine, said.append):
        assert "could not be told to rest" in said[0]
        with pytest.raises(Unreachable):
            mine.beat()
        etcd.heal()
        mine.beat()
        assert etcd.value(KEYS.paused)
    assert etcd.value(KEYS.paused) is None


def test_an_answer_that_was_lost_does_not_make_it_somebody_elses(
    etcd: FakeEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    kv = etcd.client()
    mine = Rest(kv, KEYS, "somebody@here")

    def lost(*args: Any, **kwargs: Any) -> None:
        FakeEtcdKv.txn(kv, *args, **kwargs)
        raise MaybeDone("no answer")

    monkeypatch.setattr(kv, "txn", lost)
    with pytest.raises(MaybeDone):
        mine.begin()
    monkeypatch.undo()
    mine.beat()
    assert not mine.found
    assert etcd.value(KEYS.paused)
