"""`hactl pause · resume · mute · unmute` against an etcd in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

import hactl.wiring
from hactl.act import operation
from hactl.act.maintenance import Operator
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.view.journal import Kind, Record, sealed, text_of
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.views import SAMPLE, after, host_lost

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")


class Desk:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        head = sealed(Record(1, "2026-01-01T00:00:00.000+00:00", 1, "b", "wit1", "c", Kind.EVENT, "began"))
        self.etcd.put(KEYS.journal(1), text_of(head))
        kv: Any = self.etcd.client()
        kv.close = lambda: None
        clock: Any = self.clock
        self.asks = Operator(kv, KEYS, clock, "operator anna", "desk", "192.0.2.50")
        self.view = after()
        monkeypatch.setattr(by_hand, "operator", lambda _: self.asks)
        monkeypatch.setattr(by_hand, "look", lambda *_: self.view)
        monkeypatch.setattr(hactl.wiring, "etcd_kv", lambda *_: kv)

    def journal(self) -> list[str]:
        ours = sorted(k for k in self.etcd.pairs if k.startswith(KEYS.journal_prefix))
        return [json.loads(self.etcd.pairs[k].value)["action"] for k in ours][1:]

    def value(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.etcd.value(key) or "null")
        return found


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def call(*words: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["--spec", str(SAMPLE), *words])
    return int(caught.value.code or 0)


WHY = ("--reason", "new switch")


def test_a_pause_says_who_why_and_until_when_and_ends_by_itself(desk: Desk, capsys: Out) -> None:
    assert call("pause", "--for", "2h", *WHY, "--yes", "-o", "json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["paused"], told["seconds"]) == (True, 7200)
    found = desk.value(KEYS.paused)
    assert (found["by"], found["reason"]) == ("operator anna from 192.0.2.50", "new switch")
    assert found["until"] - found["since"] == 7200
    assert desk.journal() == ["pause", "pause-done"]
    assert desk.etcd.value(KEYS.operation) is None
    desk.clock.forward(7201)
    assert desk.etcd.value(KEYS.paused) is None


def test_pausing_again_takes_its_place_and_says_so(desk: Desk, capsys: Out) -> None:
    desk.etcd.put(KEYS.incident, "{}")
    assert call("pause", "--for", "1h", *WHY, "--yes") == 0
    assert call("pause", "--for", "3h", "--reason", "it takes longer", "--yes") == 0
    said = capsys.readouterr().err
    assert "paused already" in said
    assert "an incident is open" in said
    desk.clock.forward(3601)
    assert desk.value(KEYS.paused)["reason"] == "it takes longer"


def test_a_dry_run_pauses_nothing(desk: Desk, capsys: Out) -> None:
    assert call("pause", "--dry-run", *WHY) == 0
    assert "would pause hactl for 1 h" in capsys.readouterr().out
    assert desk.etcd.value(KEYS.paused) is None
    assert desk.journal() == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("pause", "--yes"), 2),
        (("pause", *WHY), 3),
        (("pause", "--for", "8d", *WHY, "--yes"), 2),
        (("pause", "--for", "4", *WHY, "--yes"), 2),
        (("pause", "--for", "1h", "--until", "18:30", *WHY, "--yes"), 2),
        (("mute",), 2),
        (("mute", "NO_SUCH_CODE", *WHY), 2),
        (("mute", "STANDBY_LOST"), 2),
        (("mute", "STANDBY_LOST", "db9", *WHY), 2),
        (("unmute", "STANDBY"), 2),
    ],
)
def test_refused_and_nothing_is_done(desk: Desk, words: tuple[str, ...], code: int) -> None:
    before = desk.etcd.keys()
    assert call(*words) == code
    assert desk.etcd.keys() == before


def test_resume_ends_it_and_twice_is_no_failure(desk: Desk, capsys: Out) -> None:
    assert call("pause", *WHY, "--yes") == 0
    assert call("resume", "--dry-run") == 0
    assert desk.etcd.value(KEYS.paused)
    assert call("resume") == 0
    assert desk.etcd.value(KEYS.paused) is None
    assert desk.journal() == ["pause", "pause-done", "resume", "resume-done"]
    capsys.readouterr()
    assert call("resume") == 0
    assert "hactl is not paused" in capsys.readouterr().out


def test_a_pause_that_nobody_can_read_is_ended_too(desk: Desk) -> None:
    desk.etcd.put(KEYS.paused, "what is this")
    assert call("resume") == 0
    assert desk.etcd.value(KEYS.paused) is None


def test_the_pause_waits_for_no_other_operation(desk: Desk, capsys: Out) -> None:
    with operation.held(desk.asks, "node reinit db2"):
        assert call("pause", *WHY, "--yes") == 6
        assert call("mute", "STANDBY_LOST", *WHY) == 0  # a mute changes nothing that others rely on
    assert "node reinit db2" in capsys.readouterr().err


def test_a_mute_covers_as_many_as_there_are(desk: Desk, capsys: Out) -> None:
    desk.view = after(host_lost("arc1"), host_lost("arc2"))
    assert call("mute", "node_unreachable", "--for", "2h", *WHY) == 0
    assert "2 found now; more than 2 ends it" in capsys.readouterr().out
    found = desk.value(KEYS.mute("NODE_UNREACHABLE"))
    assert (found["count"], found["severity"], found["by"]) == (2, "warning", "operator anna from 192.0.2.50")
    assert desk.journal() == ["mute", "mute-done"]
    desk.clock.forward(7201)
    assert desk.etcd.value(KEYS.mute("NODE_UNREACHABLE")) is None


def test_the_list_and_the_end(desk: Desk, capsys: Out) -> None:
    assert call("mute", "STANDBY_LOST", "db2", *WHY) == 0
    assert "none is found now; more than 1 ends it" in capsys.readouterr().out
    assert call("mute", "--list") == 0
    assert "by operator anna from 192.0.2.50: new switch" in capsys.readouterr().out
    assert call("mute", "--list", "-o", "json") == 0
    (one,) = json.loads(capsys.readouterr().out)["mutes"]
    assert (one["code"], one["subject"], one["count"]) == ("STANDBY_LOST", "db2", 1)
    assert call("unmute", "STANDBY_LOST") == 0
    assert "is not muted" in capsys.readouterr().out
    assert call("unmute", "standby_lost", "db2") == 0
    assert desk.etcd.value(KEYS.mute("STANDBY_LOST", "db2")) is None
    assert desk.journal() == ["mute", "mute-done", "unmute", "unmute-done"]
    capsys.readouterr()
    assert call("mute", "--list") == 0
    assert "nothing is muted" in capsys.readouterr().out


def test_a_mute_s_dry_run(desk: Desk, capsys: Out) -> None:
    assert call("mute", "STANDBY_LOST", "--dry-run", *WHY) == 0
    assert "would be muted for 4 h" in capsys.readouterr().out
    assert desk.journal() == []


def test_a_name_almost_right_is_guessed(desk: Desk, capsys: Out) -> None:
    assert desk.journal() == []
    assert call("mute", "STANDBY_LOSST", *WHY) == 2
    assert "perhaps STANDBY_LOST" in capsys.readouterr().err
