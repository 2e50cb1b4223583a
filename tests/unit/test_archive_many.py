"""Many archive nodes: nobody waits for who hangs, their keys are read apart, their hosts asked in turns."""

from __future__ import annotations

import dataclasses
import io
import json
import threading
import time
from collections.abc import Callable

import pytest

from hactl.adapters.clock import SystemClock
from hactl.adapters.events import EventLog
from hactl.controller import archive_keys as keys_module
from hactl.controller import archive_probes, turns
from hactl.controller.archive_keys import OLD, ArchiveKeys
from hactl.controller.archive_probes import Prober
from hactl.controller.crew import Crew
from hactl.controller.mirror import Mirror, Signs
from hactl.controller.samples import Samples
from hactl.controller.turns import Turns
from hactl.ports import ArchiveLines, Question
from hactl.view.archive import ArchiveMark, ArchiveState, Drain, DrainBy
from hactl.view.archive_levels import Answer
from hactl.view.control import AgentFacts, Dcs
from hactl.view.keys import Keys
from hactl.view.model import Probe, State
from hactl.view.parse.agent_facts import facts_text
from hactl.view.parse.archive import drain_text, mark_text
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support import views
from tests.support.archives import ROUTES

KEYS = Keys("demo")
VOTERS = ("db1", "db2", "wit1")
WITHIN = 20.0  # seconds that a test waits for what takes milliseconds


def waits(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + WITHIN
    while not (came := done()) and time.monotonic() < end:
        time.sleep(0.01)
    return came


# Threads


def test_a_crew_grows_with_what_is_at_work_and_not_beyond_its_limit() -> None:
    crew, over, began = Crew("test", 3), threading.Event(), []
    for _ in range(3):
        assert crew.give(lambda: (began.append(1), over.wait(WITHIN))[0])
    assert not crew.give(lambda: None)
    over.set()
    assert waits(lambda: crew.give(lambda: began.append(2)))
    assert waits(lambda: began == [1, 1, 1, 2])
    assert crew.end(WITHIN)
    assert not crew.give(lambda: None)


def test_one_after_the_other_is_one_thread() -> None:
    crew, threads = Crew("test", 50), set()
    for number in range(20):
        crew.give(lambda: threads.add(threading.get_ident()))
        assert waits(lambda: len(crew._idle) == 1), number
    assert len(threads) == 1
    assert crew.end(WITHIN)


def test_who_has_no_work_goes_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.controller.crew.STAYS", 0.01)
    crew = Crew("test", 5)
    crew.give(lambda: None)
    assert waits(lambda: not crew._threads)
    assert crew.give(lambda: None)
    assert crew.end(WITHIN)


def test_no_more_threads_of_the_system_is_a_limit_like_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    crew, done = Crew("test", 3), threading.Event()
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", full)
        assert not crew.give(lambda: None)
    assert crew.give(done.set)
    assert done.wait(WITHIN)
    assert crew.end(WITHIN)


class Nodes:
    """The first `hang` of them answer only when `over` is set."""

    def __init__(self, count: int, hang: int) -> None:
        self.over, self.asked = threading.Event(), dict.fromkeys(range(count), 0)
        self.hanging = set(range(hang))

    def prober(self, period: float) -> Prober:
        lines = {f"arc{n}": ArchiveLines(((self.question(n),),), lambda: None) for n in self.asked}
        found = Prober(lines, SystemClock(), lambda *_: None, lambda: True)
        found.period = period
        return found

    def question(self, number: int) -> Question:
        def ask(_: float) -> Answer:
            self.asked[number] += 1
            if number in self.hanging:
                self.over.wait(WITHIN)
            return Answer(Probe(State.OK))

        return Question(ROUTES["index"], 2.0, ask)

    def well(self) -> int:
        """How often the least asked of those that do not hang was."""
        return min(count for number, count in self.asked.items() if number not in self.hanging)


def test_nobody_waits_for_those_that_hang() -> None:
    nodes, stop = Nodes(100, hang=60), threading.Event()
    prober = nodes.prober(0.2)
    prober.start(stop)
    assert waits(lambda: nodes.well() >= 3)
    assert {nodes.asked[n] for n in nodes.hanging} == {1}
    nodes.over.set()
    assert waits(lambda: nodes.asked[0] >= 2)
    stop.set()
    prober.close(WITHIN)


def test_who_is_known_to_hang_cannot_take_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_probes, "MOST", 6)
    monkeypatch.setattr(archive_probes, "MOST_SLOW", 2)
    monkeypatch.setattr(archive_probes, "SLOW", 0.05)
    monkeypatch.setattr(archive_probes, "IDLE", 0.05)
    nodes, stop = Nodes(30, hang=20), threading.Event()
    [lane] = (prober := nodes.prober(0.2))._lanes
    lane._slow.update(nodes.hanging)
    prober.start(stop)
    assert waits(lambda: nodes.well() >= 3)
    assert sum(nodes.asked[n] for n in nodes.hanging) == 2
    nodes.over.set()
    stop.set()
    prober.close(WITHIN)


# Keys


def facts(node: str, seq: int = 1) -> str:
    return facts_text(AgentFacts(node, "b", seq))


class World:
    def __init__(self, count: int) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        self.nodes = [f"arc{n}" for n in range(count)]
        for node in self.nodes:
            self.etcd.put(KEYS.facts(node), facts(node))
            self.etcd.put(KEYS.archive_state(node), mark_text(ArchiveMark(ArchiveState.HEALTHY)))
        self.etcd.put(KEYS.facts("db1"), facts("db1"))
        self.etcd.put(KEYS.controller, json.dumps({"node": "wit1"}))
        self.log = EventLog("wit1", io.StringIO())
        self.kv = self.etcd.client()
        self.apart = ArchiveKeys(self.kv, KEYS, VOTERS, self.clock, self.log)
        self.samples = Samples()
        signs = Signs(self.samples, ("db1", "db2"))
        self.mirror = Mirror(self.kv, KEYS, self.clock, signs, self.log, self.apart)

    def pages(self, count: int) -> None:
        for _ in range(count):
            self.apart.page()

    def seen(self) -> Dcs:
        self.mirror.look()
        dcs = self.samples.view("wit1", holding=True).dcs
        assert isinstance(dcs, Dcs)
        return dcs


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(keys_module, "PAGE", 10)
    return World(25)


ROUND = 6  # pages: 25 marks are 3 of them, 25 archive nodes' facts and one other's are 3


def test_archive_keys_are_left_out_until_all_of_them_were_read(world: World) -> None:
    dcs = world.seen()
    assert (set(dcs.facts), dcs.archive_states, dcs.archives_known) == ({"db1"}, {}, False)
    world.pages(ROUND - 1)
    assert not world.seen().archives_known
    world.pages(1)
    dcs = world.seen()
    assert dcs.archives_known
    assert set(dcs.facts) == {"db1", *world.nodes}
    assert set(dcs.archive_states) == set(world.nodes)
    assert dcs.active == "wit1"


def test_both_ways_to_look_see_the_same(world: World) -> None:
    world.etcd.put(KEYS.archive_drain("arc7"), drain_text(Drain("arc7", DrainBy.OPERATOR, "disk")))
    world.pages(ROUND)
    apart, samples = world.seen(), Samples()
    Mirror(world.kv, KEYS, world.clock, Signs(samples, ("db1",)), world.log).look()
    assert samples.view("wit1", holding=True).dcs == apart


def test_what_changes_and_what_goes_is_seen_with_the_next_round(world: World) -> None:
    world.pages(ROUND)
    world.etcd.delete(KEYS.facts("arc3"))
    world.etcd.delete(KEYS.archive_state("arc24"))
    world.etcd.put(KEYS.facts("arc4"), facts("arc4", 2))
    world.etcd.put(KEYS.facts("arc5"), "no JSON")
    world.pages(ROUND)
    dcs = world.seen()
    assert {"arc3", "arc5"}.isdisjoint(dcs.facts)
    assert dcs.facts["arc4"].seq == 2
    assert "arc24" not in dcs.archive_states
    assert len(dcs.facts) == 25 - 2 + 1


def test_who_is_about_to_act_sees_what_changed_a_moment_ago(world: World) -> None:
    world.pages(ROUND)
    world.etcd.put(KEYS.archive_drain("arc7"), drain_text(Drain("arc7", DrainBy.OPERATOR, "disk")))
    assert "arc7" not in world.seen().drains
    assert world.apart.all()
    assert world.seen().drains["arc7"].by is DrainBy.OPERATOR
    world.kv.cut = True
    assert not world.apart.all()


def test_what_cannot_be_read_is_known_for_a_while_and_then_no_more(world: World) -> None:
    world.pages(ROUND)
    world.kv.cut = True
    world.clock.forward(OLD - 1)
    world.pages(ROUND)
    assert world.apart.joined(Dcs(1)).archives_known
    world.clock.forward(2)
    gone = world.apart.joined(Dcs(1))
    assert (gone.archives_known, gone.facts, gone.archive_states) == (False, {}, {})
    world.kv.cut = False
    world.pages(2 * ROUND)
    assert world.seen().archives_known


def test_who_stands_by_knows_nothing_of_them(world: World) -> None:
    world.pages(ROUND)
    world.apart.forget()
    assert not world.seen().archives_known
    world.pages(ROUND)
    assert world.seen().archives_known


# Hosts


class Greets:
    def reachable(self) -> Probe:
        return Probe(State.OK)


def test_many_hosts_are_asked_in_turns_and_the_others_known_from_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(turns, "A_TURN", 2)
    archives = [f"arc{n}" for n in range(5)]
    found = Turns(dict.fromkeys([*VOTERS, *archives], Greets()), archives)
    rounds = [found.next() for _ in range(4)]
    assert all(set(VOTERS) < set(asked) for asked in rounds)
    asked = [sorted(set(r) - set(VOTERS)) for r in rounds]
    assert asked == [["arc0", "arc1"], ["arc2", "arc3"], ["arc4"], ["arc0", "arc1"]]
    first = dataclasses.replace(views.healthy(), nodes=dict.fromkeys(rounds[0], Probe(State.OK)))
    second = dataclasses.replace(first, nodes=dict.fromkeys(rounds[1], Probe(State.FAILED, "silent")))
    assert set(found.whole(first).nodes) == {*VOTERS, "arc0", "arc1"}
    whole = found.whole(second).nodes
    assert list(whole) == [*VOTERS, "arc0", "arc1", "arc2", "arc3"]
    assert (whole["arc0"].ok, whole["arc2"].failed, whole["db1"].failed) == (True, True, True)
    found.forget()
    assert list(found.whole(first).nodes) == [*VOTERS, "arc0", "arc1"]
