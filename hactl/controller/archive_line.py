"""One line of one archive node: at most one open question, and fewer the worse it answers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from hactl.controller.breaker import Breaker
from hactl.ports import Clock, Question
from hactl.view.archive_levels import FAILS_OVER, Answer, Sight
from hactl.view.model import Probe, State

SLACK: Final = 3.0  # seconds that an answer may be late before the last one says nothing any more
HANGS: Final = 0.5  # of a question's time: who fails sooner refuses, which costs nobody a thread
HELD: Final = Answer(Probe(State.UNKNOWN, FAILS_OVER))
AGAIN: Final = Answer(Probe(State.UNKNOWN, "to be asked again since the database came back"))
Measure = Callable[[str, float], None]


class Line:
    """`visit` is called by one thread at a time; everything else by any thread, at any time."""

    def __init__(self, node: str, questions: tuple[Question, ...], clock: Clock, measure: Measure) -> None:
        self.node = node
        self._questions, self._clock, self._measure = questions, clock, measure
        self._lock = threading.Lock()
        self._sights: dict[str, Sight] = {}
        self._breakers = {q.route.name: Breaker() for q in questions}
        self._era = 0  # an answer to a question of before says nothing of now

    def visit(self, period: float, *, hold: bool) -> None:
        """Ask from the top until something answers. `hold`: what reads from the database is not asked."""
        for number, question in enumerate(self._questions):
            if hold and question.route.level == "L2":
                self._note(question, HELD, self._clock.monotonic(), period)
                continue
            if not self._may(question):
                continue
            if self._ask(question, period).probe.ok:
                self._implied(self._questions[number + 1 :], period)
                return

    def _may(self, question: Question) -> bool:
        with self._lock:
            return self._breakers[question.route.name].may(self._clock.monotonic())

    def _ask(self, question: Question, period: float) -> Answer:
        asked = self._clock.monotonic()
        with self._lock:
            era = self._era
        answer = question.ask(question.within)
        now = self._clock.monotonic()
        self._measure(question.route.level, now - asked)
        hung = answer.probe.failed and now - asked >= question.within * HANGS
        with self._lock:
            if era != self._era:
                return answer
            before = self._breakers[question.route.name]
            self._breakers[question.route.name] = before.after(now, ok=not hung)
        self._note(question, answer, asked, period)
        return answer

    def _implied(self, questions: tuple[Question, ...], period: float) -> None:
        now = self._clock.monotonic()
        for question in questions:
            with self._lock:
                self._breakers[question.route.name] = Breaker()
            self._note(question, Answer(Probe(State.OK)), now, period)

    def _note(self, question: Question, answer: Answer, asked: float, period: float) -> None:
        name = question.route.name
        with self._lock:
            due = max(asked + period, self._breakers[name].until)
            until = due + sum(q.within for q in self._questions) + SLACK
            before = self._sights.get(name)
            self._sights[name] = Sight.after(before, question.route, answer, at=asked, until=until)

    def sights(self) -> dict[str, Sight]:
        with self._lock:
            return dict(self._sights)

    def open(self) -> int:
        """How many of its routes are left alone at present."""
        with self._lock:
            return sum(b.open for b in self._breakers.values())

    def anew(self, period: float) -> None:
        """The database is back, or the service was started: what failed before says nothing any more."""
        now = self._clock.monotonic()
        with self._lock:
            self._era += 1
            for question in self._questions:
                name = question.route.name
                self._breakers[name] = Breaker()
                seen = self._sights.get(name)
                if seen is not None and not seen.probe.ok:
                    until = now + period + sum(q.within for q in self._questions) + SLACK
                    self._sights[name] = Sight.after(None, question.route, AGAIN, at=now, until=until)

    def forget(self) -> None:
        with self._lock:
            self._era += 1
            self._sights.clear()
            self._breakers = {q.route.name: Breaker() for q in self._questions}
