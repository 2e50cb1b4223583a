from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from hactl.drill import writewatch
from hactl.drill.history import Claim, History, Server
from hactl.drill.writewatch import Asked, WriteWatch
from hactl.errors import Unreachable

DB1 = Server("db1", "7000", 1, "10:00")
Answer = Server | None | Exception


class Link:
    """Answers what it was told to; counts how often it was closed."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.closed = 0

    def writer(self, *, within: float) -> Server | None:
        assert 0 < within <= writewatch.WITHIN
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self.closed += 1


def handing_out(*links: Link) -> Any:
    left = list(links)
    return lambda _node, _within: left.pop(0)


def test_what_a_node_says() -> None:
    asked = Asked("db1", handing_out(Link(DB1, None)))
    first, second = asked.ask(), asked.ask()
    assert (first.node, first.writable, first.server) == ("db1", True, DB1)
    assert (second.writable, second.server) == (False, None)
    assert first.begin <= first.end <= second.begin


@pytest.mark.parametrize("error", [Unreachable("off"), psycopg2.OperationalError("off\n"), OSError("off")])
def test_no_answer_is_unknown_and_the_next_question_goes_over_a_new_connection(error: Exception) -> None:
    broken = Link(error)
    asked = Asked("db1", handing_out(broken, Link(DB1)))
    unknown = asked.ask()
    assert (unknown.writable, unknown.server, unknown.why) == (None, None, "off")
    assert broken.closed == 1
    assert asked.ask().writable is True


def test_a_node_that_cannot_be_connected_to_is_unknown() -> None:
    def nobody(_node: str, _within: float) -> Any:
        raise Unreachable("off")

    assert Asked("db1", nobody).ask().writable is None


def claims(history: History, node: str) -> list[Claim]:
    return [e for e in history.snapshot() if isinstance(e, Claim) and e.node == node]


def wait(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_node_that_hangs_delays_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writewatch, "EVERY", 0.02)
    history, go, link = History.create(tmp_path / "run.jsonl"), threading.Event(), Link(DB1)

    def direct(node: str, _within: float) -> Any:
        if node == "db2":
            go.wait(5)
            raise Unreachable("no answer in time")
        return link

    watch = WriteWatch(["db1", "db2"], direct, history)
    watch.start()
    wait(lambda: len(claims(history, "db1")) >= 3)
    assert not claims(history, "db2")
    go.set()
    wait(lambda: bool(claims(history, "db2")))
    watch.stop()
    assert link.closed == 1


def test_a_watch_that_does_not_end_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writewatch, "WITHIN", 0.01)
    go = threading.Event()

    def direct(_node: str, _within: float) -> Any:
        go.wait(5)
        raise Unreachable("no answer in time")

    watch = WriteWatch(["db1"], direct, History.create(tmp_path / "run.jsonl"))
    watch.start()
    with pytest.raises(Unreachable, match="did not end in time"):
        watch.stop()
    go.set()
