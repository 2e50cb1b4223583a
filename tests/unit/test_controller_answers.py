"""What agents answered to orders stands in the journal, once, beside the order."""

from __future__ import annotations

import io
from typing import Any

import pytest

from hactl.adapters.events import EventLog
from hactl.controller.answers import SAID, Answers
from hactl.errors import Refused
from hactl.view.control import Dcs, Order, OrderDone
from hactl.view.history import ANSWERED, acts
from hactl.view.journal import Kind, Record
from tests.support.acting import Book
from tests.support.views import look


class Fussy(Book):
    refuses = False

    def event(self, action: str, *, incident: str = "", epoch: int = 0, data: Any = None) -> int:
        if self.refuses:
            raise Refused("another controller is active now")
        return super().event(action, incident=incident, epoch=epoch, data=data)


@pytest.fixture
def book() -> Fussy:
    return Fussy()


@pytest.fixture
def answers(book: Fussy) -> Answers:
    found = Answers(book, EventLog("wit1", io.StringIO()))
    found.look(look())
    return found


def seen(id_: str = "7", *, ok: bool = True, said: str = "restarted") -> Dcs:
    return look(
        orders={"db1": Order("db1", id_, "restart", "keepalived.service")},
        done={"db1": OrderDone("db1", id_, ok, said)},
    )


def test_an_answer_is_written_once(answers: Answers, book: Fussy) -> None:
    for _ in range(3):
        answers.look(seen())
    data = {
        "node": "db1", "order": "7", "verb": "restart keepalived.service", "ok": True, "said": "restarted",
    }  # fmt: skip
    assert book.lines == [("event", ANSWERED, "", 0, data)]
    answers.look(seen("8", ok=False, said="x" * 2 * SAID))
    assert book.lines[-1][-1]["ok"] is False
    assert len(book.lines[-1][-1]["said"]) == SAID


def test_what_the_journal_did_not_take_is_tried_again(answers: Answers, book: Fussy) -> None:
    book.refuses = True
    answers.look(seen())
    book.refuses = False
    answers.look(seen())
    answers.look(seen())
    assert len(book.lines) == 1


def test_what_was_answered_before_this_controller_was_active_is_not_written_again(
    answers: Answers, book: Fussy
) -> None:
    answers.forget()
    answers.look(seen())
    assert book.lines == []
    answers.look(seen("8"))
    assert len(book.lines) == 1


def test_an_answer_without_its_order_is_written_all_the_same(answers: Answers, book: Fussy) -> None:
    answers.look(look(done={"db1": OrderDone("db1", "7", ok=True)}))
    assert book.lines[0][-1]["verb"] == ""


def record(seq: int, kind: Kind, action: str, **fields: Any) -> Record:
    return Record(seq, "w", seq * 1000, "b", "wit1", "controller", kind, action, **fields)


def test_history_tells_what_became_of_an_order() -> None:
    given = record(1, Kind.INTENT, "give-order", data={"reason": "frozen"})
    result = record(2, Kind.RESULT, "give-order", of=1, data={"ok": True, "said": "order 7", "order": "7"})
    answer = record(9, Kind.EVENT, ANSWERED, data={"order": "7", "ok": False, "said": "it does not start"})
    [before] = acts([given, result])
    assert (before.ok, before.said, before.took_ms) == (True, "order 7", 1000)
    [after] = acts([given, result, answer])
    assert (after.ok, after.took_ms) == (False, 8000)
    assert after.said == "order 7; its agent: it does not start"
