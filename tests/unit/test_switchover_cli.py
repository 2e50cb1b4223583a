"""`hactl switchover`: a look from memory; Patroni, checkpoint and commits stand in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from hactl.act.maintenance import Operator
from hactl.act.switchover import Means
from hactl.cli import operator as by_hand
from hactl.cli import switchover, switchover_pools
from hactl.cli.app import main
from hactl.errors import StepFailed, Unreachable
from hactl.view.journal import Kind, Record, parse_record, sealed, text_of
from hactl.view.keys import Keys
from hactl.view.model import Probe, State
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.views import SAMPLE, after, agent, keys

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")


class Pair:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.etcd = FakeEtcd(FakeClock())
        head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        self.dcs: dict[str, Any] = {"facts": {n: agent(n) for n in ("db1", "db2", "wit1")}}
        self.now, self.refuses, self.asked, self.interrupted = 100.0, "", 0, False
        asks = Operator(self.etcd.client(), KEYS, self, "operator anna", "desk")
        monkeypatch.setattr(by_hand, "look", lambda *_: after(keys(**self.dcs)))
        monkeypatch.setattr(by_hand, "operator", lambda _: asks)
        monkeypatch.setattr(switchover, "means_of", lambda *_: self.means())
        monkeypatch.setattr(switchover, "_redundant", lambda *_: True)
        self.open: list[tuple[float]] = [(0.4,), (59.0,)]
        monkeypatch.setattr(switchover, "_ask", lambda _context, statement, *_: self.sessions(statement))
        monkeypatch.setattr(switchover_pools, "index", lambda *_: Probe(State.OK))

    def wall(self) -> float:
        return 1_700_000_000.0

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    def boottime(self) -> float:
        return self.now

    def sessions(self, statement: str) -> Sequence[tuple[Any, ...]]:
        if not self.open:
            raise Unreachable("no connection within 3 s")
        return [("192.0.2.21", 12, 1)] if statement == switchover_pools.OPEN else self.open

    def ask(self) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        if self.refuses:
            raise StepFailed(self.refuses)
        self.asked += 1

    def means(self) -> Means:
        return Means(lambda: None, self.ask, lambda: "db2" if self.asked else "db1", self, lambda _: None)

    def journal(self) -> list[Record]:
        return [parse_record(p) for n in (2, 3) if (p := self.etcd.value(KEYS.journal(n))) is not None]


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Pair:
    return Pair(monkeypatch)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), "switchover", *words])
    return int(caught.value.code or 0)


def test_it_switches_and_the_journal_says_who_why_and_how_long(pair: Pair, capsys: Out) -> None:
    assert call("--yes", "--reason", "new RAM", "-o", "json") == 0
    assert pair.asked == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["from"], told["to"], told["vetoes"]) == ("db1", "db2", [])
    begun, ended = pair.journal()
    assert (begun.action, begun.actor, begun.data["reason"]) == ("switchover", "operator anna", "new RAM")
    assert (ended.action, ended.data["ok"]) == ("switchover-ended", True)


def test_a_dry_run_says_the_steps_and_does_nothing(pair: Pair, capsys: Out) -> None:
    assert call("--dry-run") == 0
    said = capsys.readouterr().out
    assert "would switch over from db1 to db2" in said
    assert "12" in said, "how many sessions end"
    assert (pair.asked, pair.journal()) == (0, [])


def test_all_vetoes_are_said_and_nothing_is_done(pair: Pair, capsys: Out) -> None:
    pair.dcs.update(paused=True, incident="{}")
    assert call("--yes") == 3
    said = capsys.readouterr().err
    assert "PAUSED" in said
    assert "INCIDENT_OPEN" in said
    assert (pair.asked, pair.journal()) == (0, [])


def test_without_a_terminal_nobody_can_be_asked(pair: Pair) -> None:
    assert call() == 3
    assert pair.asked == 0


def test_what_patroni_refuses_is_in_the_journal_too(pair: Pair, capsys: Out) -> None:
    pair.refuses = "Patroni on db1 answers 412: no good candidates"
    assert call("--yes") == 5
    assert "412" in capsys.readouterr().err
    assert pair.journal()[-1].data["ok"] is False


def test_a_long_transaction_is_not_ended_unless_that_is_meant(pair: Pair, capsys: Out) -> None:
    pair.open = [(61.0,), (400.0,), (2.0,)]
    assert call("--yes") == 3
    said = capsys.readouterr().err
    assert "LONG_TRANSACTION: 2 transactions have been open for over 60 s" in said
    assert "the oldest for 400 s" in said
    assert (pair.asked, pair.journal()) == (0, [])
    assert call("--yes", "--end-transactions") == 0
    assert pair.asked == 1


def test_transactions_that_nobody_can_see_are_a_veto(pair: Pair, capsys: Out) -> None:
    pair.open = []
    assert call("--yes") == 3
    assert "TRANSACTIONS_UNKNOWN" in capsys.readouterr().err


def test_ctrl_c_is_in_the_journal_and_the_lock_is_free(pair: Pair) -> None:
    pair.interrupted = True
    assert call("--yes") == 130
    assert "interrupted" in str(pair.journal()[-1].data["said"])
    assert pair.etcd.value(KEYS.operation) is None
