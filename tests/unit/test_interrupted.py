"""Ctrl-C at every call that a command makes: the lock is free, the journal has an end, the way on is said.

As the takeover is tried with a controller that is killed at every call (test_controller_takeover.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hactl.view.keys import Keys
from tests.support.seat import COMMANDS, KEYS, Command, Seat

Out = pytest.CaptureFixture[str]
OPERATION = Keys("demo").operation
# To be interrupted right after a read is to be interrupted right before the next call.
CHANGES = frozenset({"txn", "grant", "revoke", "patroni"})
MANY = 90  # tries: a rolling restart of all has many times that; HYPOTHESIS_PROFILE=thorough does them all
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
ENDS = ("-ended", "-done")
INTERRUPTED, WAY = 130, "How it is now, and how to go on: hactl "


@contextmanager
def seat(command: Command, tmp_path: Path) -> Iterator[Seat]:
    with pytest.MonkeyPatch.context() as patch:
        found = Seat(patch, tmp_path)
        found.ready(command)
        yield found


def calls_of(command: Command, tmp_path: Path) -> list[str]:
    with seat(command, tmp_path) as found:
        found.made.clear()
        assert found.call(*command.words) == 0
        return list(found.made)


class Tried:
    """One command, interrupted once; what is wrong afterwards."""

    def __init__(self, command: Command, tmp_path: Path, call: int, *, after: bool, out: Out) -> None:
        self.command, self.problems = command, list[str]()
        with seat(command, tmp_path) as found:
            self.seat = found
            self.before, self.file = found.state(), found.site.source.read_text()
            self.records = len(found.journal())
            found.press_at(call, after=after)
            out.readouterr()
            code = found.call(*command.words)
            self.said = out.readouterr().err
            self.expect(code == INTERRUPTED, f"exit code {code}")
            self._lock()
            self._orders()
            self._journal()
            self._way_on()
            self._again()

    def expect(self, holds: bool, problem: str) -> None:  # noqa: FBT001 - a sentence of the test
        if not holds:
            self.problems.append(f"{problem}; Ctrl-C at {self.seat.pressed}")

    def _lock(self) -> None:
        if self.seat.etcd.value(OPERATION) is not None:
            self.seat.clock.forward(11)  # type: ignore[attr-defined]
        self.expect(self.seat.etcd.value(OPERATION) is None, "the lock does not end by itself")

    def _orders(self) -> None:
        """Nobody waits for it any more; what it was pressed at may be the very call that takes it back."""
        keys = self.seat.etcd.keys()
        left = [key for key in keys if key.startswith(KEYS.order(""))]
        self.expect(not left or "revoke" in str(self.seat.pressed), f"an order is left: {left}")

    def _journal(self) -> None:
        ours = self.seat.journal()[self.records :]
        begun = [r.action for r in ours if not r.action.endswith(ENDS)]
        for action in begun:
            ends = [r for r in ours if r.action in {f"{action}{end}" for end in ENDS}]
            self.expect(len(ends) == begun.count(action), f"{action} has {len(ends)} ends in the journal")
        self.ended = bool(ours) and ours[-1].action.endswith(ENDS) and ours[-1].data["ok"] is True
        cut = [r for r in ours if r.action.endswith(ENDS) and "interrupted" in str(r.data.get("said", ""))]
        self.expect(self.ended or not begun or bool(cut), "the journal does not say that it was interrupted")

    def _way_on(self) -> None:
        seat = self.seat
        same = (seat.state(), seat.site.source.read_text()) == (self.before, self.file)
        self.expect(
            self.ended or WAY in self.said or (same and not seat.told),
            "something was done, and nobody says how to go on",
        )

    def _again(self) -> None:
        """Whatever was done: the same command goes on, or says all that stands against it."""
        self.seat.press_at(0)
        self.seat.clock.forward(80)  # type: ignore[attr-defined]
        code = self.seat.call(*self.command.words)
        self.expect(code in {0, 3}, f"typed again it ends with {code}")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_interrupted_at_any_call(command: Command, tmp_path: Path, capsys: Out) -> None:
    made = calls_of(command, tmp_path)
    tries = [(n, False) for n in range(1, len(made) + 1)]
    tries += [(n, True) for n, name in enumerate(made, 1) if name in CHANGES]
    if len(tries) > MANY and not THOROUGH:
        tries = tries[:: len(tries) // MANY + 1]
    found = {
        (call, after): problems
        for call, after in tries
        if (problems := Tried(command, tmp_path, call, after=after, out=capsys).problems)
    }
    assert found == {}


def test_there_is_something_to_interrupt(tmp_path: Path) -> None:
    """A seat that counted nothing would let every command pass."""
    for command in COMMANDS[:4]:
        made = calls_of(command, tmp_path)
        assert {"grant", "txn", "ranges"} <= set(made) or command.words[0] in {"mute", "switchover"}
        assert len(made) > 4


def test_what_was_done_to_the_end_is_so_in_the_journal_however_its_record_came_there(
    tmp_path: Path, capsys: Out
) -> None:
    command = next(c for c in COMMANDS if c.name == "pause")
    made = calls_of(command, tmp_path)
    last = max(n for n, name in enumerate(made, 1) if name == "txn")  # of the record of its end
    with seat(command, tmp_path) as found:
        found.press_at(last)
        assert found.call(*command.words) == INTERRUPTED
        assert WAY not in capsys.readouterr().err
        assert found.journal()[-1].data["ok"] is True
        assert found.state() != {}
