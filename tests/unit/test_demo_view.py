from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from hactl.cli.demo_story import streams
from hactl.cli.demo_view import Screen, picture, sparkline
from hactl.drill.board import Board
from hactl.drill.checker import judge
from tests.support.drills import failover


def board(told: Screen | None = None) -> Board:
    made = Board(100.0, told=told.hear) if told else Board(100.0)
    for event in failover().events:
        made.event(event)
    return made


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([], ""), ([0, 0], "··"), ([0, 1, 8], "·▁█"), ([5], "▇"), ([1, 1, 1], "▅▅▅")],
)
def test_sparkline(values: list[int], drawn: str) -> None:
    assert sparkline(values) == drawn


def test_the_picture_shows_holder_primary_and_outage() -> None:
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=False).print(picture(board(), 122.0))
    text = out.getvalue()
    for said in ("database VIP", "db2, timeline 2", "20.47 s, over", "+20.47 s", "power of db1 cut"):
        assert said in text


def test_without_a_terminal_every_line_is_printed_when_it_happens() -> None:
    out = io.StringIO()
    screen = Screen(Console(file=out, force_terminal=False))
    shown = board(screen)
    with screen.live(shown), screen.counting("images read back", 2) as progress:
        progress.advance(progress.task_ids[0])
    text = out.getvalue()
    assert "database VIP on nobody\n" in text
    assert "images read back: 2\n" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("lost", [False, True])
def test_the_verdict(*, lost: bool) -> None:
    forge = failover()
    if lost:
        forge.rows = [replace(r, id=r.id) for r in forge.rows[1:]]
    out = io.StringIO()
    Screen(Console(file=out, width=120, force_terminal=False)).verdict(judge(forge.events, forge.tables))
    assert ("nothing acknowledged is missing" in out.getvalue()) is not lost
    assert ("1 acknowledged rows missing on db1" in out.getvalue()) is lost
    assert "outage after the loss of db1: 20.47 s" in out.getvalue()


def member(**changes: object) -> dict[str, object]:
    seen = {"name": "db1", "role": "standby", "state": "streaming", "sync": True, **changes}
    return {"database": {"members": [seen]}}


def test_a_standby_streams_only_when_it_is_synchronous_again() -> None:
    assert streams(member(), "db1")
    assert not streams(member(), "db2")
    assert not streams(member(sync=False), "db1")
    assert not streams(member(role="primary"), "db1")
    assert not streams(member(state="in archive recovery"), "db1")
