"""What the controller's keys ask of an agent."""

from __future__ import annotations

import json

import pytest

from hactl.agent import ask, obey
from hactl.agent.obey import (
    Act,
    Allow,
    Asked,
    Fence,
    Intent,
    Memory,
    Refusal,
    Refuse,
    RunAct,
    Unfence,
    decide,
)
from hactl.view.keys import Keys
from hactl.view.kv import Pair, TxnReply

HOSTILE = ("", "db1", "1", "192.0.2.0/24", "127.0.0.1", "224.0.0.18", "192.0.2.11 or dst ::/0", "::1")
INTENT = Intent(7, '{"epoch":7}')
LATER = Intent(8, '{"epoch":8}')
REFUSAL = Refusal(7, "192.0.2.11")
ELSEWHERE = Refusal(8, "192.0.2.12")
ACT = Act("a1", "restart", "keepalived.service")


@pytest.mark.parametrize(
    ("asked", "memory", "tasks"),
    [
        pytest.param(Asked(), Memory(), (), id="nothing asked, nothing done"),
        pytest.param(Asked(intent=INTENT), Memory(), (Fence(INTENT),), id="an intent is obeyed"),
        pytest.param(
            Asked(intent=INTENT),
            Memory(fenced=True, intent=INTENT),
            (),
            id="an intent that stands is obeyed once",
        ),
        pytest.param(
            Asked(intent=LATER), Memory(fenced=True, intent=INTENT), (Fence(LATER),), id="a later one anew"
        ),
        pytest.param(
            Asked(intent=INTENT),
            Memory(fenced=True),
            (Fence(INTENT),),
            id="after a restart it is obeyed again",
        ),
        pytest.param(
            Asked(), Memory(fenced=True, intent=INTENT), (Unfence(),), id="its end starts what was stopped"
        ),
        pytest.param(Asked(), Memory(fenced=True), (Unfence(),), id="also when it ended during a restart"),
        pytest.param(Asked(refusal=REFUSAL), Memory(), (Refuse(REFUSAL, True),), id="a dead peer is refused"),
        pytest.param(
            Asked(refusal=REFUSAL), Memory(refusal=REFUSAL, refused_at=95), (), id="the kernel remembers it"
        ),
        pytest.param(
            Asked(refusal=REFUSAL),
            Memory(refusal=REFUSAL, refused_at=70),
            (Refuse(REFUSAL, False),),
            id="not for ever",
        ),
        pytest.param(
            Asked(), Memory(refusal=REFUSAL, refused_at=95), (Allow("192.0.2.11"),), id="and allowed again"
        ),
        pytest.param(
            Asked(refusal=ELSEWHERE),
            Memory(refusal=REFUSAL, refused_at=95),
            (Allow("192.0.2.11"), Refuse(ELSEWHERE, True)),
            id="another address takes its place",
        ),
        pytest.param(Asked(act=ACT), Memory(), (RunAct(ACT),), id="an order is run"),
        pytest.param(Asked(act=ACT), Memory(ran="a1"), (), id="once"),
        pytest.param(Asked(act=ACT, done="a1"), Memory(), (), id="not after a restart when it was answered"),
        pytest.param(
            Asked(act=ACT, intent=INTENT), Memory(fenced=True, intent=INTENT), (), id="a fenced node waits"
        ),
    ],
)
def test_tasks(asked: Asked, memory: Memory, tasks: tuple[obey.Task, ...]) -> None:
    assert decide(asked, memory, 100.0)[0] == tasks


def test_a_round_without_news_asks_for_nothing() -> None:
    asked = Asked(intent=INTENT, refusal=REFUSAL, act=ACT)
    _, memory = decide(asked, Memory(), 100.0)
    again, same = decide(asked, memory, 100.5)
    assert again == ()
    assert same == memory


KEYS = Keys("demo")


def pair(key: str, value: str) -> tuple[Pair, ...]:
    return (Pair(key, value, 5, 5, 1),)


def reply(*, succeeded: bool = False, **values: str) -> TxnReply:
    names = ("leader", "fence", "prime", "order", "done", "mode", "switchover")
    found = tuple(pair(n, values[n]) if n in values else () for n in names)
    return TxnReply(succeeded, 9, (*found, (), ()))


def test_the_transaction_compares_leader_and_intent_and_touches_alive_only_then() -> None:
    deal = ask.lease_transaction(KEYS, "db1", "x", say_leased=False)
    assert [(c.key, c.operand) for c in deal.compares] == [
        ("/service/demo/leader", "db1"),
        ("/hactl/demo/fence/db1", 0),
    ]
    writes = [op.key for op in deal.then if type(op).__name__ == "Put"]
    assert writes == ["/hactl/demo/alive/db1"]
    assert not [op for op in deal.otherwise if type(op).__name__ == "Put"]


def test_both_branches_read_the_same_and_say_leased_when_etcd_has_another_word() -> None:
    deal = ask.lease_transaction(KEYS, "db1", "x", say_leased=True)
    assert deal.then[: len(deal.otherwise)] == deal.otherwise
    assert deal.otherwise[-1].key == "/hactl/demo/mode/db1"
    assert KEYS.switchover in [op.key for op in deal.otherwise]


def test_a_full_answer() -> None:
    found = ask.heard(
        reply(
            leader="db1",
            fence='{"epoch":7}',
            prime='{"epoch":7,"reject":"192.0.2.11"}',
            order='{"id":"a1","verb":"restart","unit":"keepalived.service"}',
            done='{"id":"a0","ok":true}',
            mode="open",
        ),
        12.0,
    )
    assert found.answer.fenced
    assert found.asked == Asked(INTENT, REFUSAL, ACT, "a0")
    assert found.mode == "open"


@pytest.mark.parametrize(
    ("switchover", "leads", "leaving"),
    [
        ('{"leader":"db1","member":"db2"}', True, True),
        ('{"leader":"db1"}', True, True),
        ('{"leader":"db1","member":"db2"}', False, False),
        ('{"leader":"db2","member":"db1"}', True, False),
        ('{"member":"db2"}', True, False),
        ('{"leader":"db1","scheduled_at":"2026-11-23T01:00:00+00:00"}', True, False),
        ("{", True, False),
    ],
)
def test_a_switchover_away_from_here_is_one_for_now_and_from_who_leads(
    switchover: str,
    leads: bool,  # noqa: FBT001 - a table's column
    leaving: bool,  # noqa: FBT001
) -> None:
    assert ask.heard(reply(succeeded=leads, leader="db1", switchover=switchover), 1.0).leaving is leaving


@pytest.mark.parametrize("text", ["", "[]", "{", "7", "[" * 100_000, '{"epoch":"x"}'])
def test_an_intent_that_cannot_be_read_stands_all_the_same(text: str) -> None:
    found = ask.heard(reply(fence=text, prime=text, order=text), 12.0)
    assert found.answer.fenced
    assert found.asked.intent == Intent(0, text)
    assert found.asked.refusal is None
    assert found.asked.act is None


def test_an_answer_to_something_else_is_none() -> None:
    with pytest.raises(ValueError, match="too few"):
        ask.heard(TxnReply(True, 1, ()), 1.0)
    with pytest.raises(ValueError, match="too few"):
        ask.orders(())


def test_orders_of_a_node_without_a_database() -> None:
    order = pair("o", json.dumps({"id": "b", "verb": "restart", "unit": "nginx.service"}))
    assert ask.orders((order, ())) == Asked(act=Act("b", "restart", "nginx.service"))


@pytest.mark.parametrize("address", HOSTILE)
def test_what_is_no_other_machines_address_refuses_nothing(address: str) -> None:
    prime = Pair(KEYS.prime("db1"), json.dumps({"epoch": 7, "reject": address}), 1, 1, 1)
    reply = TxnReply(True, 9, ((), (), (prime,), (), (), (), ()))
    assert ask.heard(reply, 0.0).asked.refusal is None
