from __future__ import annotations

import pytest

from hactl.drill.board import Board, Line
from hactl.drill.history import Mark, Outcome, Store
from tests.support.drills import DB1, DB2, Forge, failover


def shown(forge: Forge) -> Board:
    board = Board(start=100.0)
    for event in forge.events:
        board.event(event)
    return board


def test_the_story_of_a_failover() -> None:
    assert [line.text for line in shown(failover()).story(20)] == [
        "db1 acknowledges writes, timeline 1",
        "database VIP on db1",
        "power of db1 cut",
        "database VIP on nobody",
        "database VIP on db2",
        "db2 acknowledges writes, timeline 2",
        "a new connection commits again, 20.47 s after the fault",
    ]


def test_the_outage_counts_until_a_new_connection_commits() -> None:
    forge = Forge()
    forge.write(DB1)
    forge.mark("fault", "db1")
    board = shown(forge)
    assert board.outage_so_far(110.0) == pytest.approx(110.0 - 100.05)
    forge.now = 120.0
    forge.write(DB2)  # an old connection's writer: not what the outage is measured by
    assert shown(forge).outage is None
    forge.write(DB2, client="probe")
    assert shown(forge).outage_so_far(999.0) == pytest.approx(120.07 - 100.05)


def test_no_outage_before_a_fault() -> None:
    forge = Forge()
    forge.write(DB1)
    assert shown(forge).outage_so_far(999) is None


def test_bars_and_rate() -> None:
    forge = Forge()
    for _ in range(20):
        forge.write(DB1)
    board = shown(forge)
    assert board.bars(101.0, 2) == [10, 10]
    assert board.rate(101.0) == 20
    assert board.bars(102.0, 2) == [0, 0]


def test_only_acknowledged_writes_and_images_count() -> None:
    forge = failover()
    forge.events += [Store("1", "d", 1, 2, Outcome.OK), Store("2", "d", 1, 2, Outcome.INFO)]
    board = shown(forge)
    assert board.images == 1
    assert sum(board.bars(200, 200)) == board.counts["ok"] == 12


def test_clients_on_the_nodes_are_not_the_service() -> None:
    forge = failover()
    forge.write(DB2, inside="db2")
    board = shown(forge)
    assert board.counts["ok"] == 12
    forge = Forge()
    forge.mark("fault", "db1")
    forge.write(DB2, inside="db2")
    assert shown(forge).outage is None


def test_notes_and_the_listener() -> None:
    heard: list[Line] = []
    board = Board(start=0.0, told=heard.append)
    board.event(Mark(1, 1, "note", "", "reading everything back"))
    board.event(Mark(2, 3, "heal", "db1"))
    assert [line.text for line in heard] == ["reading everything back", "power of db1 on again"]
