"""How archive nodes are asked: one question a line, fewer the worse it answers, no storm after a failover."""

from __future__ import annotations

import itertools
import threading
import time
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.adapters.clock import SystemClock
from hactl.controller.archive_line import AGAIN, Line
from hactl.controller.archive_probes import Lane, Prober
from hactl.controller.breaker import LONGEST, OPEN, Breaker
from hactl.decide.archive_sql import Sql
from hactl.ports import ArchiveLines, Question
from hactl.view.archive_levels import FAILS_OVER, Answer
from hactl.view.model import Probe, State
from tests.fakes.etcd import FakeClock
from tests.support.archives import ROUTES

OK, BAD = Answer(Probe(State.OK)), Answer(Probe(State.FAILED, "no answer in time"))
REFUSED = Answer(Probe(State.FAILED, "connection refused"))
STRANGE = Answer(Probe(State.UNKNOWN, "not trusted"))
HTTP = ("index", "now", "front")


@dataclass
class Node:
    """A line by HTTP against a clock of its own: what hangs takes its whole time."""

    clock: FakeClock = field(default_factory=FakeClock)
    answers: dict[str, Answer] = field(default_factory=lambda: dict.fromkeys(HTTP, OK))
    asked: list[tuple[float, str]] = field(default_factory=list)
    hangs: bool = True

    def line(self) -> Line:
        questions = tuple(
            Question(ROUTES[name], 2.0, lambda within, name=name: self.ask(name, within)) for name in HTTP
        )
        return Line("arc1", questions, self.clock, lambda *_: None)

    def ask(self, name: str, within: float) -> Answer:
        self.asked.append((self.clock.now, name))
        answer = self.answers[name]
        if answer is BAD and self.hangs:
            self.clock.now += within
        return answer

    def run(self, line: Line, seconds: float, *, hold: bool = False) -> list[str]:
        """Visits each 2 s; what was asked."""
        self.asked.clear()
        end = self.clock.now + seconds
        while self.clock.now < end:
            began = self.clock.now
            line.visit(2.0, hold=hold)
            self.clock.now = max(self.clock.now, began + 2.0)
        return [name for _, name in self.asked]


def states(line: Line) -> dict[str, str]:
    return {name: str(s.probe.state) for name, s in line.sights().items()}


def test_who_reads_its_index_is_asked_nothing_else() -> None:
    node = Node()
    line = node.line()
    assert node.run(line, 10) == ["index"] * 5
    assert states(line) == dict.fromkeys(HTTP, "ok")
    assert line.sights()["front"].in_row == 5


def test_an_index_that_hangs_is_left_alone_and_the_rest_is_asked() -> None:
    node = Node()
    node.answers["index"] = BAD
    line = node.line()
    asked = node.run(line, 60)
    times = [at for at, name in node.asked if name == "index"]
    assert [round(b - a) for a, b in itertools.pairwise(times)][:4] == [2, 2, 12, 22]
    assert asked.count("now") > 20
    assert states(line) == {"index": "failed", "now": "ok", "front": "ok"}
    assert line.open() == 1
    node.answers["index"] = OK
    node.run(line, LONGEST)
    assert line.open() == 0
    assert states(line)["index"] == "ok"


def test_a_refusal_takes_nobodys_thread_and_is_asked_on() -> None:
    node = Node()
    node.answers = dict.fromkeys(HTTP, REFUSED)
    line = node.line()
    assert node.run(line, 20) == list(HTTP) * 10
    assert line.open() == 0


def test_what_is_not_known_opens_nothing() -> None:
    node = Node()
    node.answers = dict.fromkeys(HTTP, STRANGE)
    line = node.line()
    node.run(line, 20)
    assert line.open() == 0
    assert set(states(line).values()) == {"unknown"}


def test_no_index_is_asked_while_the_database_fails_over() -> None:
    node = Node()
    line = node.line()
    node.run(line, 4)
    assert node.run(line, 20, hold=True) == ["now"] * 10
    index = line.sights()["index"]
    assert (index.probe.state, index.probe.why) == (State.UNKNOWN, FAILS_OVER)


def test_an_answer_is_good_until_the_next_one_should_have_come() -> None:
    node = Node()
    line = node.line()
    node.run(line, 2)
    seen = line.sights()["index"]
    assert seen.now(node.clock.now + 5).probe.ok
    assert seen.now(node.clock.now + 60).probe.state is State.UNKNOWN


def test_what_failed_before_the_database_came_back_says_nothing() -> None:
    node = Node()
    node.answers["index"] = BAD
    line = node.line()
    node.run(line, 40)
    line.anew(2.0)
    assert line.open() == 0
    index = line.sights()["index"]
    assert (index.answer, index.in_row, index.since) == (AGAIN, 1, node.clock.now)
    assert states(line)["now"] == "ok"


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), max_size=40))
def test_a_breaker_opens_at_the_third_failure_and_never_for_longer_than_a_minute(
    answers: list[tuple[bool, float]],
) -> None:
    breaker, now, failures = Breaker(), 0.0, 0
    for ok, later in answers:
        now += later
        if not breaker.may(now):
            continue
        breaker = breaker.after(now, ok=ok)
        failures = 0 if ok else failures + 1
        assert breaker.open == (failures >= 3)
        pause = min(LONGEST, OPEN * 2 ** max(0, failures - 3)) if failures >= 3 else 0.0
        assert breaker.until == (now + pause if pause else 0.0)


class Slow:
    """Counts how many questions are open at once, of all and of each node."""

    def __init__(self, takes: float) -> None:
        self._lock, self._takes = threading.Lock(), takes
        self.open: dict[str, int] = {}
        self.most_of_one = self.most = 0
        self.times: list[float] = []

    def question(self, node: str) -> Question:
        def ask(_: float) -> Answer:
            with self._lock:
                self.times.append(time.monotonic())
                self.open[node] = self.open.get(node, 0) + 1
                self.most_of_one = max(self.most_of_one, self.open[node])
                self.most = max(self.most, sum(self.open.values()))
            time.sleep(self._takes)
            with self._lock:
                self.open[node] -= 1
            return OK

        return Question(ROUTES["index"], 2.0, ask)


def of_one(question: Question) -> ArchiveLines:
    return ArchiveLines(((question,),), lambda: None)


def prober(slow: Slow, nodes: int, *, active: bool = True) -> Prober:
    lines = {f"arc{n}": of_one(slow.question(f"arc{n}")) for n in range(nodes)}
    return Prober(lines, SystemClock(), lambda *_: None, lambda: active)


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


def test_at_most_one_question_is_open_for_each_node(stop: threading.Event) -> None:
    slow = Slow(0.3)
    found = prober(slow, 3)
    found.period = 0.1
    found.start(stop)
    time.sleep(1.5)
    found.weather(Sql(away_for=5.0))
    found.weather(Sql(works_for=0.1))  # all are due at once, also those that are being asked
    time.sleep(1.0)
    stop.set()
    assert slow.most_of_one == 1
    assert slow.most <= 3


def test_after_a_failover_all_are_asked_again_within_two_seconds_and_not_at_once() -> None:
    clock = FakeClock()
    slow = Slow(0)
    found = Prober(
        {f"arc{n}": of_one(slow.question(f"arc{n}")) for n in range(40)}, clock, lambda *_: None, lambda: True
    )
    found.weather(Sql(away_for=5.0))
    assert found.hold
    found.weather(Sql(works_for=0.5))
    assert not found.hold
    [lane] = found._lanes
    assert isinstance(lane, Lane)
    due = sorted(at - clock.now for at, _ in lane._due)
    assert due == pytest.approx([n * 0.05 for n in range(40)])


def test_who_stands_by_asks_nobody_and_knows_nothing(stop: threading.Event) -> None:
    slow = Slow(0)
    found = prober(slow, 2, active=False)
    found.start(stop)
    time.sleep(0.5)
    stop.set()
    assert slow.times == []
    found.rest()
    assert found.sights() == {"arc0": {}, "arc1": {}}
