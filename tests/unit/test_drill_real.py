"""A drill over SSH: what the nodes are asked, that it is mended on any exit, and what stops it."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hactl.wiring
from hactl.cli import drill, drill_real, drill_run, node_common
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.drill_real import RealPlace, proposal
from hactl.drill.scenarios import Scenario, find
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.site import Site
from hactl.view.cluster import ClusterView
from tests.support.faults import agreed
from tests.support.views import Change, after, archive_lost, keys

GONE = Unreachable("hactl@192.0.2.11: the connection was lost")


@dataclass
class Node:
    """A dispatcher. `fails`: sentence -> the errors of its next calls."""

    name: str
    asked: list[str]
    fails: dict[str, list[Exception]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=lambda: {"closed": "", "fault": None})
    rows: str = ""

    def ask(self, sentence: str, *, within: float) -> bytes:
        assert within > 0
        if sentence != "fault state":
            self.asked.append(f"{self.name}: {sentence}")
        if self.fails.get(sentence):
            raise self.fails[sentence].pop(0)
        said = {"fault state": json.dumps(self.state), "drill-rows": self.rows}
        return said.get(sentence, "done\n").encode()


@dataclass
class World:
    context: Context
    nodes: dict[str, Node]
    asked: list[str]
    view: ClusterView

    def change(self, *changes: Change) -> None:
        for change in changes:
            self.view = change(self.view)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    spec = agreed()
    none = tmp_path / "none"
    site = Site(tmp_path, none, none, none, none, none, none, on_node=False, lab=None)
    asked: list[str] = []
    nodes = {name: Node(name, asked) for name in spec.nodes}
    made = World(Context(spec, tmp_path / "cluster.yaml", site, "table", 0), nodes, asked, after())
    monkeypatch.setattr(hactl.wiring, "dispatchers", lambda *_: nodes)
    monkeypatch.setattr(by_hand, "look", lambda *_: made.view)
    return made


def scenario(name: str) -> Scenario:
    return find([name])[0]


def struck(world: World, name: str, node: str, inside: Callable[[], None] = lambda: None) -> None:
    place = RealPlace(world.context)
    try:
        with place.injected(scenario(name).fault, node):
            inside()
    finally:
        place.heal()


@pytest.mark.parametrize(
    ("name", "node", "want"),
    [
        ("primary/freeze-postgres", "db1", ["db1: fault freeze-postgres", "db1: fault heal"]),
        ("primary/power-off", "db1", ["wit1: fault power-off-db1", "wit1: fault heal"]),
        ("archive/kill-orthanc", "arc2", ["arc2: fault kill-orthanc", "arc2: fault heal"]),
    ],
)
def test_one_node_is_asked_and_asked_to_mend_it(world: World, name: str, node: str, want: list[str]) -> None:
    struck(world, name, node)
    assert world.asked == want


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GONE, RuntimeError("a bug")])
def test_it_is_mended_however_the_block_ends(world: World, error: BaseException) -> None:
    def ends() -> None:
        raise error

    with pytest.raises(type(error)):
        struck(world, "primary/freeze-postgres", "db1", ends)
    assert world.asked[-1] == "db1: fault heal"


def test_an_answer_that_was_lost_may_be_a_fault_that_was_not(world: World) -> None:
    world.nodes["db1"].fails["fault freeze-postgres"] = [GONE]
    with pytest.raises(Unreachable):
        struck(world, "primary/freeze-postgres", "db1")
    assert world.asked == ["db1: fault freeze-postgres", "db1: fault heal"]


def test_it_is_asked_again_and_then_said_that_the_node_does_it_itself(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.nodes["db1"].fails["fault heal"] = [GONE] * 2
    struck(world, "primary/freeze-postgres", "db1")
    assert world.asked.count("db1: fault heal") == 3
    assert "by itself" not in capsys.readouterr().err
    world.nodes["db1"].fails["fault heal"] = [GONE] * 6
    struck(world, "primary/freeze-postgres", "db1")
    assert "it heals by itself within 30 s" in capsys.readouterr().err


def test_what_is_proposed_names_the_node_and_what_is_not_judged(world: World) -> None:
    found = proposal(world.context, scenario("primary/power-off"))
    assert found.vetoes == ()
    assert found.steps[1] == "power-off on db1, by wit1: power-off-db1; mended within 60 s"
    assert "I2, I10" in found.notes[0]
    assert world.asked == []


def test_every_reason_is_in_the_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.change(archive_lost("arc2"), keys(paused=True, recent_failovers=3))
    world.nodes["db2"].state["fault"] = "kill-patroni"
    world.nodes["arc1"].fails["fault state"] = [Unreachable("no login")]
    night = dt.datetime(2026, 11, 23, 3)  # noqa: DTZ001 - local time has no zone
    monkeypatch.setattr(drill_real, "_local", lambda _: night)
    asked = by_hand.Asked("a test", dry_run=False, yes=True)
    with pytest.raises(Refused) as refused:
        node_common.go_ahead(world.context, proposal(world.context, scenario("primary/power-off")), asked)
    codes = [said.partition(":")[0] for said in refused.value.vetoes]
    assert {"NOT_REDUNDANT", "PAUSED", "TOO_MANY_FAILOVERS", "FAULT_UNDER_WAY", "NODE_SILENT"} <= set(codes)
    assert world.asked == []


def test_a_node_that_was_not_deployed_since_does_not_know_the_verb(world: World) -> None:
    said = "hactl@192.0.2.21: fault state: hactl: this key may ask: facts, files, follow, logs"
    world.nodes["arc1"].fails["fault state"] = [StepFailed(said)]
    (veto,) = proposal(world.context, scenario("primary/power-off")).vetoes
    assert (veto.code, veto.evidence) == ("NODE_SILENT", "it does not know the verb yet: hactl deploy")


@pytest.mark.parametrize("kind", ["dry_run", "explain"])
def test_what_is_only_explained_touches_nothing(
    world: World, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = replace(by_hand.Asked("", dry_run=True, yes=False), **{kind: True})
    assert not node_common.go_ahead(world.context, proposal(world.context, scenario("kill-orthanc")), asked)
    assert "kill-orthanc on " in capsys.readouterr().out
    assert world.asked == []


def test_rows_of_another_drill_are_not_ours(world: World) -> None:
    place = RealPlace(world.context)
    world.nodes["db2"].rows = "mine|w1|1|10\nmine|probe|2|11\n"
    stored = place._stored
    assert [(r.client, r.seq, r.id) for r in stored("db2", "mine")] == [("w1", 1, 10), ("probe", 2, 11)]
    assert stored("db2", "another") == []


def test_a_surprise_stops_it_once_it_lasts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drill_real, "LOOK_EVERY", 0.01)
    with RealPlace(world.context).watched(scenario("primary/kill-patroni"), "db1") as still:
        still()
        world.change(archive_lost("arc2"))
        with pytest.raises(StepFailed, match="a surprise: ARCHIVE_NODE_DOWN: arc2"):
            until_it_stops(still)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (Unreachable("etcd is gone"), "nothing could be looked at for 0.05 s: etcd is gone"),
        (KeyError("members"), "the guard failed: KeyError: 'members'"),
    ],
)
def test_a_guard_that_sees_nothing_stops_it(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    def look(*_: object) -> object:
        raise error

    monkeypatch.setattr(drill_real, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(drill_real, "UNSEEN", 0.05)
    with RealPlace(world.context).watched(scenario("primary/kill-patroni"), "db1") as still:
        monkeypatch.setattr(by_hand, "look", look)
        with pytest.raises(StepFailed, match=says):
            until_it_stops(still)


def until_it_stops(still: Callable[[], None]) -> None:
    for _ in range(500):
        still()
        time.sleep(0.01)


@pytest.mark.parametrize(("name", "want"), [("primary/power-off", 1), ("primary/kill-patroni", 0)])
def test_what_may_move_the_primary_needs_the_second_person(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, want: int
) -> None:
    approved: list[str] = []
    monkeypatch.setattr(by_hand, "second_person", lambda _c, what, *_: approved.append(what))
    monkeypatch.setattr(drill_run, "run_for_real", lambda *_: {"clean": True})
    asked = by_hand.Asked("a test", dry_run=False, yes=True)
    assert drill._for_real(world.context, (scenario(name),), asked) == [{"clean": True}]
    assert len(approved) == want


def test_another_node_than_was_agreed_to_is_not_struck(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made = SimpleNamespace(node="db2", run=lambda: world.asked.append("run"))
    monkeypatch.setattr(drill_run, "Drill", lambda *_: made)
    monkeypatch.setattr(by_hand, "operating", lambda *_: nullcontext())
    one = scenario("primary/kill-patroni")
    with pytest.raises(Refused) as refused:
        drill_run.run_for_real(world.context, one, "a test", proposal(world.context, one))
    assert refused.value.vetoes == ("CHANGED: it would be db2 now, not db1",)
    assert world.asked == []
