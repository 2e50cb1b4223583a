"""Two persons for one act, on an etcd in memory."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from hactl.act import approvals
from hactl.act.maintenance import Operator
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.errors import Refused
from hactl.view.approval import Approval, Request, approval_text, parse_approval, parse_request, request_text
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.views import SAMPLE

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")
DETAILS = ("NOT_IN_SYNC: overruled", "commits may be lost")


class Time(FakeClock):
    def monotonic(self) -> float:
        self.now += 0.5
        return self.now


class Pair:
    """Anna asks; what the others do happens while she waits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = Time()
        self.etcd = FakeEtcd(self.clock)
        head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        self.anna = self.who("anna")
        self.said: list[str] = []
        self.meanwhile: Any = lambda: None
        monkeypatch.setattr("time.sleep", lambda _: self.meanwhile())

    def who(self, person: str) -> Operator:
        return Operator(self.etcd.client(), KEYS, self.clock, f"operator {person}", "ops", "192.0.2.50",
                        person=person)  # fmt: skip

    def ask(self) -> Approval:
        return approvals.approved(self.anna, "failover", DETAILS, "db1 burns", self.said.append)

    def approve(self, person: str) -> None:
        who = self.who(person)
        approvals.approve(who, approvals.requests(who)[0], "seen it")

    def actions(self) -> list[str]:
        texts = (self.etcd.value(KEYS.journal(n)) for n in range(2, 9))
        return [parse_record(t).action for t in texts if t is not None]

    def left(self) -> list[str]:
        return [k for k in self.etcd.keys() if "approv" in k]  # noqa: SIM118 - a method of the fake


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(monkeypatch)


def test_it_goes_on_when_somebody_else_has_approved(pair: Pair) -> None:
    pair.meanwhile = lambda: pair.approve("bert")
    found = pair.ask()
    assert found == Approval("bert", "operator bert from 192.0.2.50")
    assert pair.actions() == ["approval-asked", "approval-given"]
    assert pair.left() == [], "it counts once"
    assert not pair.etcd.leases
    assert "hactl approve" in pair.said[0]


def test_the_same_person_is_refused_twice(pair: Pair) -> None:
    def herself() -> None:
        with pytest.raises(Refused, match="a second person"):
            pair.approve("anna")
        request = approvals.requests(pair.anna)[0]
        pair.etcd.put(KEYS.approved(request.id), approval_text(Approval("anna", "x")))

    pair.meanwhile = herself
    with pytest.raises(Refused, match="two people are needed"):
        pair.ask()
    assert pair.left() == [f"{KEYS.own}approved/{pair.left()[0].split('/')[-1]}"]


def test_who_is_nobody_cannot_ask_or_approve(pair: Pair) -> None:
    pair.anna = dataclasses.replace(pair.anna, person="")
    with pytest.raises(Refused, match="did not come through the gate"):
        pair.ask()
    assert pair.left() == []
    request = Request("1", "anna", "anna", "x", (), "", 1, 2)
    with pytest.raises(Refused, match="through the gate"):
        approvals.approve(pair.who(""), request, "")


def test_nobody_comes(pair: Pair) -> None:
    with pytest.raises(Refused, match="nobody approved within 10 min"):
        pair.ask()
    assert pair.left() == []
    assert any("not approved yet" in text for text in pair.said)


def test_ctrl_c_takes_it_back(pair: Pair) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    pair.meanwhile = interrupted
    with pytest.raises(KeyboardInterrupt):
        pair.ask()
    assert pair.actions() == ["approval-asked", "approval-withdrawn"]
    assert pair.left() == []


def test_what_is_taken_back_cannot_be_approved(pair: Pair) -> None:
    request = Request("aa", "anna", "anna", "x", (), "", 1, 2)
    with pytest.raises(Refused, match="does not wait any more"):
        approvals.approve(pair.who("bert"), request, "")


def test_an_answer_is_to_these_words_only(pair: Pair) -> None:
    """A request that changed after somebody read it is another one."""

    def changed() -> None:
        request = approvals.requests(pair.anna)[0]
        pair.etcd.put(KEYS.approval(request.id), request_text(dataclasses.replace(request, what="all")))
        with pytest.raises(Refused):
            approvals.approve(pair.who("bert"), request, "")
        pair.approve("bert")

    pair.meanwhile = changed
    with pytest.raises(Refused, match="has just changed"):
        pair.ask()


def test_both_texts_come_back() -> None:
    request = Request("a", "anna", "anna from x", "failover", DETAILS, "why", 1, 601)
    assert parse_request(request_text(request)) == request
    assert parse_approval(approval_text(Approval("b", "b from y"))) == Approval("b", "b from y")
    for bad in ("", "[]", '{"id":"x"}'):
        with pytest.raises(ValueError):  # noqa: PT011 - any of them
            parse_request(bad)


def typed(pair: Pair, monkeypatch: pytest.MonkeyPatch, person: str, *words: str) -> int:
    monkeypatch.setattr(by_hand, "operator", lambda _: pair.who(person))
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), "approve", *words])
    return int(caught.value.code or 0)


def test_as_typed(pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: Out) -> None:
    assert typed(pair, monkeypatch, "bert") == 0
    assert "nothing waits" in capsys.readouterr().out
    request = Request("3fa91c", "anna", "operator anna", "failover from db1 to db2", DETAILS, "burns", 1, 601)
    lease = pair.etcd.grant(600)
    pair.etcd.put(KEYS.approval("3fa91c"), request_text(request), lease)
    assert typed(pair, monkeypatch, "bert", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["requests"][0]["id"] == "3fa91c"
    assert typed(pair, monkeypatch, "bert", "beef", "--yes") == 3
    assert typed(pair, monkeypatch, "anna", "3fa91c", "--yes") == 3
    assert typed(pair, monkeypatch, "bert", "3fa91c") == 3, "nobody is there to be asked"
    assert typed(pair, monkeypatch, "bert", "3fa91c", "--dry-run") == 0
    assert pair.etcd.value(KEYS.approved("3fa91c")) is None
    assert typed(pair, monkeypatch, "bert", "3fa91c", "--yes") == 0
    said = capsys.readouterr()
    assert "commits may be lost" in said.err
    assert "approved: failover from db1 to db2" in said.out
    assert pair.etcd.pairs[KEYS.approved("3fa91c")].lease == lease, "it ends with the request"
    assert typed(pair, monkeypatch, "carl", "3fa91c", "--yes") == 3, "once is enough"
