"""Every command by hand, as typed, while something is wrong: done or refused, never half done."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hactl.act import operation
from hactl.act.maintenance import Operator
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock
from tests.support.seat import COMMANDS, Command, Seat

Out = pytest.CaptureFixture[str]
KEYS = Keys("demo")
VETO = re.compile(r"^  - [A-Z_]+", re.MULTILINE)

# Needs no lock: a key of its own, in one transaction.
UNLOCKED = {"mute STANDBY_LOST", "unmute STANDBY_LOST", "switchover --at +2h", "switchover --cancel"}
# The last one that could fail over.
NEEDS_CONTROLLER = {"node stop db2"}
# With db2, the standby, switched off. What is left: the witness's and the archives' business, and what hactl
# itself is told.
NEEDS_STANDBY = {
    "switchover", "node restart db2", "node restart --all", "node stop db2", "node start db2",
    "node maintenance db2 on", "node rejoin db2", "node reinit db2",
    "config edit --set work_mem=64MB", "config rollback 1",
}  # fmt: skip


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seat:
    return Seat(monkeypatch, tmp_path)


def typed(seat: Seat, command: Command, out: Out) -> tuple[int, str, bool]:
    """Exit code, what was said as an error, and whether nothing at all was done."""
    before, file, records = seat.state(), seat.site.source.read_text(), len(seat.journal())
    out.readouterr()
    code = seat.call(*command.words)
    same = (seat.state(), seat.site.source.read_text(), len(seat.journal())) == (before, file, records)
    return code, out.readouterr().err, same and not seat.told


def refused(code: int, said: str, *, untouched: bool) -> None:
    assert code == 3, said
    assert VETO.search(said), said
    assert "next: hactl" in said
    assert untouched


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_with_the_controller_dead(seat: Seat, command: Command, capsys: Out) -> None:
    """They read etcd and Patroni themselves."""
    seat.ready(command)
    seat.active = False
    code, said, untouched = typed(seat, command, capsys)
    if command.name in NEEDS_CONTROLLER:
        refused(code, said, untouched=untouched)
    else:
        assert (code, untouched) == (0, False), said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_with_etcd_without_a_quorum(seat: Seat, command: Command, capsys: Out) -> None:
    """A refusal that names etcd, and nothing is done: not when it is back either."""
    seat.ready(command)
    before, file = seat.state(), seat.site.source.read_text()
    for name in ("db2", "wit1"):
        seat.etcd.kill(name)
    capsys.readouterr()
    code = seat.call(*command.words)
    said = capsys.readouterr().err
    assert code in {3, 4}, said
    assert "etcd" in said
    assert code == 4 or VETO.search(said)
    seat.etcd.heal()
    assert (seat.state(), seat.site.source.read_text(), seat.told) == (before, file, [])
    assert seat.etcd.value(KEYS.operation) is None


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_with_the_standby_down(seat: Seat, command: Command, capsys: Out) -> None:
    seat.ready(command)
    seat.dead = frozenset({"db2"})
    seat.etcd.delete(KEYS.facts("db2"))
    code, said, untouched = typed(seat, command, capsys)
    if command.name == "node fence db2":
        # The fence stands, and here is no fence agent that could prove what it says.
        assert code == 5, said
        assert "last step done: the fence of db2 stands; its agent obeys as soon as it can" in said
        assert "hactl node unfence db2" in said
    elif command.name in NEEDS_STANDBY:
        refused(code, said, untouched=untouched)
    else:
        assert (code, untouched) == (0, False), said


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_two_at_once(seat: Seat, command: Command, capsys: Out) -> None:
    seat.ready(command)
    other = Operator(seat.etcd.client(), KEYS, FakeClock(), "operator ben", "ward", "192.0.2.51")
    with operation.held(other, "node reinit db1", "broken disk"):
        code, said, untouched = typed(seat, command, capsys)
        if command.name in UNLOCKED:
            assert (code, untouched) == (0, False), said
            return
        assert (code, untouched) == (6, True), said
        assert "node reinit db1, by operator ben from 192.0.2.51 on ward (pid" in said
        assert "reason: broken disk" in said
    assert seat.call(*command.words) == 0


def test_one_unit_is_restarted_by_its_agent_hactls_own_over_ssh(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    class There:
        def ask(self, sentence: str, *, within: float) -> bytes:
            assert within > 0
            asked.append(sentence)
            return b""

    monkeypatch.setattr("hactl.wiring.dispatchers", lambda *_: {"db2": There()})
    assert seat.call("node", "restart", "db2", "--unit", "keepalived", "--yes") == 0
    assert (seat.told, asked) == (["db2: restart keepalived.service"], [])
    assert seat.call("node", "restart", "db2", "--unit", "hactl-agent", "--yes") == 0
    assert asked == ["restart hactl-agent.service"]
    for words, said in (
        (("patroni",), "hactl node start db2"), (("orthanc",), "hactl archive restart db2"),
        (("sshd",), "one of: "), (("etcd", "--etcd"), "goes with no other choice"),
    ):  # fmt: skip
        assert seat.call("node", "restart", "db2", "--unit", *words, "--yes") == 2
        assert said in capsys.readouterr().err
