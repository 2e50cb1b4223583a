"""`hactl node ...` as typed: exit codes, what is printed, and that nothing happens where nothing may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hactl.act import maintenance, operation
from hactl.act.maintenance import Operator
from hactl.act.node_recover import Progress
from hactl.cli import node_recover, node_restart, node_stop, switchover
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.errors import Refused, StepFailed
from hactl.view.control import Order
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.nodes import world
from tests.support.views import SAMPLE

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")
ACTS = [
    ("restart", "db2"), ("restart", "--all"), ("stop", "db2"), ("start", "db2"),
    ("maintenance", "db2", "on"), ("reinit", "db2", "--force"), ("fence", "db2"),
]  # fmt: skip


class Desk:
    """An operator's desk before the healthy installation; agents and Patroni do what they are told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        self.etcd.put(KEYS.leader, "db1", self.etcd.grant(3600))
        self.view = world()
        self.orders: list[tuple[str, str]] = []
        self.fails = False
        asks = Operator(self.etcd.client(), KEYS, self.clock, "operator anna", "desk")
        monkeypatch.setattr("time.sleep", lambda _: None)
        monkeypatch.setattr(by_hand, "look", lambda *_: self.view)
        monkeypatch.setattr(by_hand, "operator", lambda _: asks)
        monkeypatch.setattr(maintenance, "order", self.order)
        monkeypatch.setattr(node_restart, "_postgres", lambda _, step: self.told("restart", step.node))
        monkeypatch.setattr(switchover, "password", lambda _: "secret")
        monkeypatch.setattr(node_stop, "well", lambda *_: True)
        states = iter([Progress("running", "1", streams=True)])
        after = Progress("running", "2", streams=True)
        monkeypatch.setattr(node_recover, "_progress", lambda *_: next(states, after))

    def order(self, _: Operator, wanted: Order, **__: Any) -> str:
        return self.told(wanted.verb, wanted.unit or wanted.node)

    def told(self, verb: str, what: str) -> str:
        if self.fails:
            raise StepFailed("masked")
        self.orders.append((verb, what))
        return "done"

    def journal(self) -> list[Record]:
        names = self.etcd.keys()
        texts = (self.etcd.value(key) for key in names if key.startswith(KEYS.journal_prefix))
        return [parse_record(text) for text in texts if text][1:]


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), "node", *words])
    return int(caught.value.code or 0)


@pytest.mark.parametrize("words", ACTS)
def test_a_dry_run_says_the_steps_and_does_nothing(desk: Desk, words: tuple[str, ...], capsys: Out) -> None:
    before = desk.etcd.keys()
    assert call(*words, "--dry-run") == 0
    assert capsys.readouterr().out.startswith("1. would ")
    assert call(*words, "--dry-run", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["vetoes"], bool(told["steps"])) == (False, [], True)
    assert (desk.etcd.keys(), desk.orders) == (before, [])


@pytest.mark.parametrize("words", ACTS)
def test_nobody_there_to_be_asked_means_no(desk: Desk, words: tuple[str, ...], capsys: Out) -> None:
    assert call(*words) == 3
    assert "--yes" in capsys.readouterr().err
    assert desk.orders == []


@pytest.mark.parametrize("words", ACTS)
def test_the_second_command_is_told_who_is_at_work(desk: Desk, words: tuple[str, ...], capsys: Out) -> None:
    other = Operator(desk.etcd.client(), KEYS, FakeClock(), "operator ben", "ward")
    with operation.held(other, "deploy"):
        assert call(*words, "--yes") == 6
    assert "operator ben" in capsys.readouterr().err
    assert (desk.orders, desk.journal()) == ([], [])


def test_done_says_so_and_the_journal_has_who_why_and_what(desk: Desk, capsys: Out) -> None:
    assert call("restart", "db2", "--yes", "--reason", "new kernel", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["done"] is True
    records = desk.journal()
    assert [r.action for r in records] == [
        "node-restart", "node-restart-step", "node-restart-step-ended", "node-restart-ended",
    ]  # fmt: skip
    assert records[0].data["reason"] == "new kernel"
    assert (records[0].actor, records[-1].data["ok"]) == ("operator anna", True)
    assert desk.etcd.value(KEYS.operation) is None


def test_what_fails_names_the_last_step_and_ends_with_5(desk: Desk, capsys: Out) -> None:
    desk.fails = True
    assert call("stop", "db2", "--yes") == 5
    err = capsys.readouterr().err
    assert "last step done: db2 is in maintenance" in err
    assert "hactl node start db2" in err
    assert desk.journal()[-1].data["ok"] is False


def test_stop_leaves_it_alone_and_start_ends_that(desk: Desk) -> None:
    assert call("stop", "db2", "--yes", "--for", "1h") == 0
    assert desk.orders == [("stop", "patroni.service")]
    assert '"stopped":true' in (desk.etcd.value(KEYS.maintenance("db2")) or "")
    desk.clock.forward(3601)
    assert desk.etcd.value(KEYS.maintenance("db2")) is None


@pytest.mark.parametrize(
    "words", [("stop", "db1"), ("maintenance", "db1", "on"), ("fence", "db1"), ("rejoin", "db2")]
)
def test_a_refusal_has_its_code_and_lists_the_reasons(
    desk: Desk, words: tuple[str, ...], capsys: Out
) -> None:
    assert call(*words, "--yes") == 3
    assert "  - " in capsys.readouterr().err
    assert call(*words, "--dry-run", "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["vetoes"][0]["code"] in {"IS_PRIMARY", "STREAMS"}
    assert desk.orders == []


def test_what_became_wrong_while_it_was_asked_is_not_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([world()])
    from tests.support.views import patroni_says, primary, standby

    turned = world(patroni_says("db1", standby("db1")), patroni_says("db2", primary("db2")))
    monkeypatch.setattr(by_hand, "look", lambda *_: next(looks, turned))
    assert call("restart", "db2", "--yes") == 3
    assert desk.orders == []


@pytest.mark.parametrize(
    "words",
    [
        ("restart", "nope"), ("restart",), ("restart", "db2", "--all"), ("restart", "--all", "--in-place"),
        ("stop", "db2", "--for", "soon"), ("stop", "db2", "--for", "1s"), ("fence", "arc1"),
        ("rejoin", "wit1"), ("reinit", "arc1"), ("maintenance", "db2", "perhaps"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_usage_error(desk: Desk, words: tuple[str, ...]) -> None:
    assert call(*words, "--yes") == 2
    assert desk.orders == []


def test_a_node_has_no_password_for_it_and_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def none(_: Any) -> str:
        raise Refused("a node does not have Patroni's password", hint="run this where `hactl deploy` runs")

    monkeypatch.setattr(switchover, "password", none)
    assert call("restart", "--all", "--yes") == 3
    assert "Patroni's password" in capsys.readouterr().err
    assert (desk.orders, desk.journal()) == ([], [])


def test_a_copy_is_waited_for(desk: Desk, capsys: Out) -> None:
    assert call("reinit", "db2", "--force", "--yes", "-o", "json") == 0
    assert desk.orders == [("reinit", "db2")]
    assert "seconds" in json.loads(capsys.readouterr().out)
