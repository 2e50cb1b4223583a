"""The controller's archive loop: acts through the same hands, writes states; rests while standing by."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from typing import Any

import pytest

from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.adapters.events import EventLog
from hactl.controller.archive import ArchiveLoop
from hactl.controller.archive_probes import Prober
from hactl.controller.samples import Samples
from hactl.decide.archive import ArchiveDecision, ArchiveMemory
from hactl.decide.archive_sql import BUDGET, WORKS, Sql, sql
from hactl.decide.plan import Plan
from hactl.metrics.instruments import Instruments
from hactl.ports import ArchiveLines, Question
from hactl.view.archive import ArchiveMark, ArchiveState, Drain, DrainBy
from hactl.view.archive_levels import Answer
from hactl.view.control import ControlView, Dcs, Heartbeat
from hactl.view.incident import Phase
from hactl.view.keys import Keys
from hactl.view.model import Probe, State, Unknown
from hactl.view.parse.archive import parse_mark
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support import archives
from tests.support.keysview import after_keys, at_second, incident
from tests.support.takeover import Journal
from tests.support.views import demo_spec

KEYS = Keys("demo")
TOKEN = '{"id":"me","node":"wit1"}'
OK, BAD = Answer(Probe(State.OK)), Answer(Probe(State.FAILED, "no answer in time"))


def _beaten(beat: Heartbeat, now: float) -> Heartbeat:
    return dataclasses.replace(beat, last_ok=now)


class Counted:
    def journal(self) -> None: ...


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        self.etcd.put(KEYS.controller, TOKEN)
        self.claim: str | None = TOKEN
        self.lines: list[dict[str, Any]] = []
        self.samples, self.answers = Samples(), dict.fromkeys(("arc1", "arc2"), OK)
        kv: Any = self.etcd.client()
        nobody: Any = None
        hands = Hands(
            me="wit1", kv=kv, keys=KEYS, journal=Journal(Counted(), self.lines), clock=self.clock,
            claim=lambda: self.claim, fences=nobody, yield_control=lambda _: None,
            new_id=lambda: "id", addresses={}, hours=HourLeases(kv, self.clock),
        )  # fmt: skip
        asked = {node: self.line(node) for node in ("arc1", "arc2")}
        self.prober = Prober(asked, self.clock, lambda *_: None, lambda: self.claim is not None)
        self.loop = ArchiveLoop(
            demo_spec(), self.samples, self.prober, hands, self.clock, EventLog("wit1", io.StringIO()),
            Instruments(),
        )  # fmt: skip
        self.second = 0
        began = self.clock.now
        self.samples.heartbeat(lambda _: Heartbeat(0, began, "db1", 0.01, since=began - 60))

    def line(self, node: str) -> ArchiveLines:
        question = Question(archives.ROUTES["index"], 2.0, lambda _: self.answers[node])
        others = (Question(archives.ROUTES[n], 1.0, lambda _: OK) for n in ("now", "front"))
        return ArchiveLines(((question, *others),), lambda: None)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second += 1
            self.clock.forward(1)
            now = self.clock.now
            self.samples.heartbeat(functools.partial(_beaten, now=now))
            dcs = at_second(archives.scene().dcs, self.second)
            marks = {
                n: parse_mark(v) for n in ("arc1", "arc2") if (v := self.etcd.value(KEYS.archive_state(n)))
            }
            self.samples.look(dataclasses.replace(dcs, revision=self.second, archive_states=marks), now)
            if self.second % 2 == 0 and self.claim:
                for lines in self.prober._lines.values():
                    lines[0].visit(2.0, hold=self.prober.hold)
            self.loop.once()

    def state(self, node: str) -> ArchiveState:
        return parse_mark(self.etcd.value(KEYS.archive_state(node)) or "").state

    def told(self) -> list[tuple[str, str]]:
        events = [line["data"] for line in self.lines if line["action"] == "archive-state"]
        return [(e["node"], e["state"]) for e in events]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_states_are_written_once_and_told(bench: Bench) -> None:
    bench.run(10)
    assert bench.state("arc1") is ArchiveState.HEALTHY
    revision = bench.etcd.pairs[KEYS.archive_state("arc1")].mod_revision
    bench.run(10)
    assert bench.etcd.pairs[KEYS.archive_state("arc1")].mod_revision == revision
    assert bench.told() == [("arc1", "healthy"), ("arc2", "healthy")]
    seen = bench.loop.seen()
    assert seen.views["arc1"].level("L2").ok
    assert seen.breakers == {"arc1": 0, "arc2": 0}


def test_a_hung_node_is_ordered_to_restart_and_told_of(bench: Bench) -> None:
    bench.run(10)
    bench.answers["arc1"] = BAD
    bench.run(16)
    order = json.loads(bench.etcd.value(KEYS.order("arc1")) or "{}")
    assert (order["verb"], order["unit"]) == ("restart", "orthanc.service")
    assert ("arc1", "failed") in bench.told()
    intents = [line for line in bench.lines if line["kind"] == "intent"]
    assert [(i["action"], i["data"]["rung"]) for i in intents] == [("give-order", "restart:orthanc.service")]
    assert bench.etcd.value(KEYS.order("arc2")) is None


def test_who_stands_by_writes_nothing_and_forgets(bench: Bench) -> None:
    bench.run(10)
    bench.claim = None
    before = dict(bench.etcd.pairs)
    bench.answers["arc1"] = BAD
    bench.run(30)
    assert bench.etcd.pairs == before
    assert bench.loop.seen().views == {}
    assert bench.prober.sights() == {"arc1": {}, "arc2": {}}


def test_an_old_look_at_etcd_decides_nothing(bench: Bench) -> None:
    bench.run(10)
    bench.answers["arc1"] = BAD
    for _ in range(40):
        bench.clock.forward(1)
        bench.loop.once()
    assert bench.etcd.value(KEYS.order("arc1")) is None


HEALTHY = Heartbeat(0, 99.5, "db1", 0.01, since=50.0)
WEATHER = [
    pytest.param(HEALTHY, [], Sql(works_for=50.0), id="commits since 50 s"),
    pytest.param(
        Heartbeat(1, 99.0, "db1", since=50.0, why="late"), [], Sql(why="late"),
        id="one lost commit: not known",
    ),
    pytest.param(
        Heartbeat(2, 97.0, "db1", since=50.0, why="late"), [],
        Sql(away_for=3.0, why="2 commits failed in a row: late"), id="two: away since the last good one",
    ),
    pytest.param(Heartbeat(), [], Sql(why="no commit has been seen yet"), id="none seen yet: not known"),
    pytest.param(
        Heartbeat(9, None, why="late"), [], Sql(away_for=80.0, why="9 commits failed in a row: late"),
        id="none ever: away since this controller looks",
    ),
    pytest.param(
        Heartbeat(0, 90.0, "db1", since=50.0), [], Sql(why="the last commit was seen 10 s ago"),
        id="no beat any more: not known",
    ),
    pytest.param(
        HEALTHY, [incident(Phase.RELEASED)], Sql(away_for=0.5, why="the database fails over"),
        id="an incident without a commit: away, whatever the old primary still takes",
    ),
    pytest.param(HEALTHY, [incident(Phase.PROMOTED, Phase.FIRST_COMMIT)], Sql(works_for=50.0), id="with one"),
]  # fmt: skip


@pytest.mark.parametrize(("beat", "changes", "expected"), WEATHER)
def test_what_is_known_of_the_database(beat: Heartbeat, changes: list[Any], expected: Sql) -> None:
    view = ControlView("wit1", holding=True, dcs=after_keys(*changes), dcs_at=100.0, heartbeat=beat)
    assert sql(view, 20.0, 100.0) == expected


def test_without_etcd_nothing_is_known_of_it() -> None:
    view = ControlView("wit1", holding=True, dcs=Unknown("no majority"), dcs_at=100.0, heartbeat=HEALTHY)
    assert sql(view, 20.0, 100.0) == Sql(why="etcd: no majority")
    assert not Sql(works_for=WORKS - 1).calm
    assert Sql(works_for=WORKS).calm
    assert [Sql(away_for=a).fails_over for a in (0.0, 1.0, BUDGET)] == [False, True, False]


def test_many_changes_of_one_moment_are_one_record(bench: Bench) -> None:
    nodes = [f"arc{n}" for n in range(250)]
    healthy, starting = ArchiveMark(ArchiveState.HEALTHY), ArchiveMark(ArchiveState.STARTING)
    marks = {**dict.fromkeys(nodes, healthy), "arc3": starting, "arc4": ArchiveMark(ArchiveState.FAILED)}
    decision = ArchiveDecision(Plan(), ArchiveMemory(), marks, {})
    before = dict.fromkeys(nodes[200:], healthy)
    bench.loop._mark(decision, dataclasses.replace(archives.scene().dcs, archive_states=before))
    assert [bench.state(n) for n in ("arc0", "arc3", "arc4", "arc199")] == [
        ArchiveState.HEALTHY, ArchiveState.STARTING, ArchiveState.FAILED, ArchiveState.HEALTHY,
    ]  # fmt: skip
    assert bench.etcd.value(KEYS.archive_state("arc200")) is None
    records = [line["data"]["states"] for line in bench.lines if line["action"] == "archive-states"]
    assert len(records) == 2
    well = {node for record in records for node in record.get("healthy", ())}
    assert well == set(nodes[:200]) - {"arc3", "arc4"}
    assert [r["failed"] for r in records if "failed" in r] == [["arc4"]]
    assert bench.told() == []


def test_nothing_is_decided_while_archive_keys_are_not_known(bench: Bench) -> None:
    bench.run(10)
    dcs = dataclasses.replace(bench.samples.view("wit1", holding=True).dcs, archives_known=False, revision=99)
    bench.answers["arc1"] = BAD
    before = dict(bench.etcd.pairs)
    for _ in range(40):
        bench.clock.forward(1)
        bench.samples.look(dcs, bench.clock.now)
        bench.loop.once()
    assert bench.etcd.pairs == before


def test_who_is_about_to_act_looks_again_and_keeps_off_what_was_just_drained(bench: Bench) -> None:
    """Of many nodes the keys are read a little late: an operator may have been faster."""

    def drained() -> bool:
        dcs = bench.samples.view("wit1", holding=True).dcs
        assert isinstance(dcs, Dcs)
        drain = Drain("arc1", DrainBy.OPERATOR, "disk")
        bench.samples.look(dataclasses.replace(dcs, drains={"arc1": drain}), bench.clock.now)
        return True

    looks: list[int] = []
    bench.loop.again = lambda: looks.append(bench.second) or drained()
    bench.run(10)
    bench.answers["arc1"] = BAD
    bench.run(16)
    assert looks
    assert bench.etcd.value(KEYS.order("arc1")) is None


def test_who_cannot_look_again_does_not_act(bench: Bench) -> None:
    bench.loop.again = lambda: False
    bench.run(10)
    bench.answers["arc1"] = BAD
    bench.run(20)
    assert bench.etcd.value(KEYS.order("arc1")) is None
    bench.loop.again = lambda: True
    bench.run(3)
    assert bench.etcd.value(KEYS.order("arc1")) is not None
