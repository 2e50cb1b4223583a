from __future__ import annotations

import pytest

from hactl.adapters.endpoints import FIRST, LONGEST, Endpoints
from tests.fakes.etcd import FakeClock


def test_the_given_order_holds_while_all_work() -> None:
    assert Endpoints(("db1", "db2", "wit1")).now() == ("db1", "db2", "wit1")


def test_one_that_failed_comes_last_for_a_while() -> None:
    clock = FakeClock()
    order = Endpoints(("db1", "db2", "wit1"), clock)
    order.failed("db1")
    assert order.now() == ("db2", "wit1", "db1")
    clock.forward(FIRST)
    assert order.now()[0] == "db1"


def test_one_that_fails_on_is_asked_less_and_less_often() -> None:
    clock = FakeClock()
    order = Endpoints(("db1", "db2"), clock)
    pauses = []
    for _ in range(6):
        order.failed("db1")
        start = clock.now
        while order.now()[0] != "db1":
            clock.forward(0.5)
        pauses.append(clock.now - start)
    assert pauses == [2, 4, 8, 16, LONGEST, LONGEST]


def test_a_success_forgets_what_was() -> None:
    order = Endpoints(("db1", "db2"), FakeClock())
    order.failed("db1")
    order.works("db1")
    assert order.now() == ("db1", "db2")


def test_threads_that_see_the_same_failure_count_it_once() -> None:
    clock = FakeClock()
    order = Endpoints(("db1", "db2"), clock)
    for _ in range(5):
        order.failed("db1")
    clock.forward(FIRST)
    assert order.now()[0] == "db1"


def test_when_all_have_failed_the_one_that_failed_first_is_asked_first() -> None:
    clock = FakeClock()
    order = Endpoints(("db1", "db2", "wit1"), clock)
    for name in ("wit1", "db1", "db2"):
        order.failed(name)
        clock.forward(0.1)
    assert order.now() == ("wit1", "db1", "db2")


def test_nobody_to_ask_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no endpoints"):
        Endpoints(())
