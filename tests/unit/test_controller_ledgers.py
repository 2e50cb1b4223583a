"""What only the victim had stands in the journal with its incident, also when a later one follows."""

from __future__ import annotations

import io
from typing import Any

import pytest

from hactl.adapters.events import EventLog
from hactl.controller.ledgers import Ledgers
from hactl.errors import Refused
from hactl.view.control import Dcs
from hactl.view.control_text import incident_text
from hactl.view.history import COUNTED, counted
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.journal import Kind, Record
from tests.support.acting import Book
from tests.support.views import agent, look

BEGAN = Stamp(Phase.SUSPECTED, "db1", 1000, "2026-01-02T03:04:05.500+00:00")
INCIDENT = Incident("failover-1", "failover", "db1", "db2", 1, stamps=(BEGAN,))
NEXT = Incident("failover-2", "failover", "db2", "db1", 2, stamps=(BEGAN,))
BEFORE, AFTER = "2026-01-02T03:04:05+00:00", "2026-01-02T03:04:20+00:00"


class Fussy(Book):
    refuses = False

    def event(self, action: str, *, incident: str = "", epoch: int = 0, data: Any = None) -> int:
        if self.refuses:
            raise Refused("another controller is active now")
        return super().event(action, incident=incident, epoch=epoch, data=dict(data))


@pytest.fixture
def book() -> Fussy:
    return Fussy()


@pytest.fixture
def ledgers(book: Fussy) -> Ledgers:
    found = Ledgers(book, EventLog("wit1", io.StringIO()))
    found.look(seen(INCIDENT))
    return found


def seen(incident: Incident | None = None, **ledger: object) -> Dcs:
    return look(
        incident=incident_text(incident) if incident else None, facts={"db1": agent("db1", ledger=ledger)}
    )


def test_the_ledger_is_written_once_and_again_when_it_says_more(ledgers: Ledgers, book: Fussy) -> None:
    for commits in (None, 3, 3):
        ledgers.look(seen(INCIDENT, at=AFTER, commits=commits))
    assert [(line[1], line[2], line[3], line[4]["commits"]) for line in book.lines] == [
        (COUNTED, "failover-1", 1, None), (COUNTED, "failover-1", 1, 3),
    ]  # fmt: skip


def test_the_ledger_of_an_earlier_failover_is_none_of_this_one(ledgers: Ledgers, book: Fussy) -> None:
    ledgers.look(seen(INCIDENT, at=BEFORE, commits=3))
    ledgers.look(seen(INCIDENT, at="yesterday", commits=3))
    assert book.lines == []


def test_an_agent_that_speaks_after_the_end_is_heard(ledgers: Ledgers, book: Fussy) -> None:
    ledgers.look(seen(None, at=AFTER, commits=0))
    assert len(book.lines) == 1


def test_the_next_incident_is_of_another_node(ledgers: Ledgers, book: Fussy) -> None:
    ledgers.look(seen(NEXT, at=AFTER, commits=0))
    assert book.lines == []


def test_what_the_journal_did_not_take_is_tried_again(ledgers: Ledgers, book: Fussy) -> None:
    book.refuses = True
    ledgers.look(seen(INCIDENT, at=AFTER, commits=0))
    book.refuses = False
    for _ in range(2):
        ledgers.look(seen(INCIDENT, at=AFTER, commits=0))
    assert len(book.lines) == 1


def test_who_is_not_active_any_more_writes_nothing_of_an_incident_that_is_over(
    ledgers: Ledgers, book: Fussy
) -> None:
    ledgers.forget()
    ledgers.look(seen(None, at=AFTER, commits=0))
    assert book.lines == []


def test_the_newest_one_in_the_journal_counts() -> None:
    records = [
        Record(n, "", 0, "", "", "", Kind.EVENT, COUNTED, incident=incident, data={"commits": n})
        for n, incident in enumerate(("failover-1", "failover-1", "failover-2"))
    ]
    assert counted(records, INCIDENT) == {"commits": 1}
    assert counted([], INCIDENT) is None
