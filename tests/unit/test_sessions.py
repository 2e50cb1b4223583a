"""Whose sessions a switchover ends, told before; and archives' pools asked whole after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hactl.cli import switchover, switchover_pools
from hactl.decide.sessions import Pool, said, sessions
from hactl.errors import Unreachable
from hactl.view.archive import ArchiveFacts
from hactl.view.model import Probe, State
from tests.support.nodes import world
from tests.support.seat import Seat
from tests.support.views import agent, demo_spec, keys

Out = pytest.CaptureFixture[str]
SPEC = demo_spec()
ARC1, ARC2 = (str(SPEC.nodes[n].address) for n in ("arc1", "arc2"))
ROWS = [(ARC1, 12, 1), (ARC2, 12, 0), ("192.0.2.77", 3, 3), ("", 1, 0)]


def test_pools_by_node_and_others_by_number() -> None:
    found = sessions(SPEC, world(), ROWS)
    assert found.pools == (Pool("arc1", 12, 1), Pool("arc2", 12, 0))
    assert found.others == 4
    first, second = said(found)
    assert "arc1 12 (1 at work), arc2 12 (0 at work)" in first
    assert second == "other sessions that end: 4"


def test_open_associations_are_told_too() -> None:
    busy = agent("arc1", archive=ArchiveFacts(associations=2))
    view = world(keys(facts={"arc1": busy}))
    assert "arc1 12 (1 at work, 2 associations open)" in said(sessions(SPEC, view, ROWS))[0]


def test_where_there_is_nobody_nothing_is_said() -> None:
    assert said(sessions(SPEC, world(), [])) == ()


@pytest.fixture
def seat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seat:
    return Seat(monkeypatch, tmp_path)


def test_the_operator_is_told_before_he_is_asked(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def ask(_: Any, sql: str, __: float) -> list[Any]:
        return ROWS if sql is switchover_pools.OPEN else []

    monkeypatch.setattr(switchover, "_ask", ask)
    for option in ("--dry-run", "--explain"):
        assert seat.call("switchover", option) == 0
        assert "arc1 12 (1 at work)" in capsys.readouterr().out
    assert seat.call("switchover", "--dry-run", "-o", "json") == 0
    assert "arc1 12" in json.loads(capsys.readouterr().out)["notes"][0]
    assert seat.call("switchover", "--yes") == 0
    said = capsys.readouterr().err
    assert said.index("arc1 12 (1 at work)") < said.index("arc1, arc2: the index answers")


def test_what_could_not_be_counted_stops_nobody(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    def ask(_: Any, sql: str, __: float) -> list[Any]:
        if sql is switchover_pools.OPEN:
            raise Unreachable("no answer in time")
        return []

    monkeypatch.setattr(switchover, "_ask", ask)
    assert seat.call("switchover", "--yes") == 0
    assert "how many sessions would end is not known: no answer in time" in capsys.readouterr().err


def test_a_pool_that_does_not_come_back_is_said(
    seat: Seat, monkeypatch: pytest.MonkeyPatch, capsys: Out
) -> None:
    answers = {"arc1": Probe(State.OK), "arc2": Probe(State.FAILED, "no answer within 2 s")}
    monkeypatch.setattr(switchover_pools, "index", lambda _, name: answers[name])
    assert seat.call("switchover", "--yes") == 0
    said = capsys.readouterr().err
    assert "arc1: the index answers" in said
    assert "arc2's index does not answer yet (no answer within 2 s)" in said
