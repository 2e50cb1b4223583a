"""Asks all archive nodes, over and over: evenly spread, each line by one thread at a time, none by more.

A node that is well is asked within milliseconds, so a handful of threads serve a thousand of them. One that
hangs holds up its thread for the whole time of its questions, so there are as many threads as hang at once,
up to a limit of which the ones known to hang may not take all: nobody waits for somebody else's silence. Nor
does that last long (controller/breaker.py).
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from typing import Final

from hactl.controller.archive_line import Line, Measure
from hactl.controller.crew import Crew
from hactl.decide.archive_sql import Sql
from hactl.ports import ArchiveLines, Clock
from hactl.view.archive_levels import Sight
from hactl.view.pace import MANY

PERIOD: Final = 2.0
PERIOD_OF_MANY: Final = 4.5  # so that each is asked within 5 s also by a busy machine
SPREAD: Final = 2.0  # seconds over which all are asked again after a database failover
IDLE: Final = 0.5
SLOW: Final = 0.5  # seconds: whose questions took longer is known to hold up a thread
MOST, MOST_SLOW = 192, 128  # threads for each kind of line, and of them for those that are known to be slow


class Prober:
    """Thread-safe. Asks only while `active`; otherwise it knows nothing, which is said."""

    def __init__(
        self, lines: Mapping[str, ArchiveLines], clock: Clock, measure: Measure, active: Callable[[], bool]
    ) -> None:
        self._clock, self._active = clock, active
        self.period = PERIOD if len(lines) <= MANY else PERIOD_OF_MANY
        self._lines = {
            node: tuple(Line(node, questions, clock, measure) for questions in of_node.lines)
            for node, of_node in lines.items()
        }
        kinds = itertools.zip_longest(*self._lines.values())
        self._lanes = tuple(
            Lane(f"archive {number}", [line for line in kind if line is not None], self)
            for number, kind in enumerate(kinds)
        )
        self._close = [of_node.close for of_node in lines.values()]
        self._threads: list[threading.Thread] = []
        self._hold = self._away = self._rested = False

    @property
    def hold(self) -> bool:
        return self._hold

    def start(self, stop: threading.Event) -> None:
        for lane in self._lanes:
            lane.spread(self._clock.monotonic(), self.period)
            thread = threading.Thread(target=lane.run, args=(stop,), name=lane.name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self, within: float) -> None:
        """After `stop`: end the connections, unless somebody still waits for an answer on one."""
        deadline = self._clock.monotonic() + within
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        ended = [lane.end(max(0.0, deadline - self._clock.monotonic())) for lane in self._lanes]
        if all(ended) and not any(thread.is_alive() for thread in self._threads):
            for close in self._close:
                close()

    def active(self) -> bool:
        return self._active()

    def now(self) -> float:
        return self._clock.monotonic()

    def weather(self, sql: Sql) -> None:
        """What is known of the database: no index is asked while it fails over; then all, not at once."""
        self._rested = False
        self._hold = sql.fails_over
        if sql.away_for > 0:
            self._away = True
        elif self._away and sql.works_for > 0:
            self._away = False
            for node in self._lines:
                self.anew(node)
            for lane in self._lanes:
                lane.spread(self._clock.monotonic(), SPREAD)

    def anew(self, node: str) -> None:
        """What failed there says nothing any more, and is asked again in its turn."""
        for line in self._lines[node]:
            line.anew(self.period)

    def rest(self) -> None:
        """Somebody else is active."""
        if not self._rested:
            self._rested, self._away, self._hold = True, False, False
            for line in itertools.chain(*self._lines.values()):
                line.forget()

    def sights(self) -> dict[str, dict[str, Sight]]:
        return {n: {k: s for line in ls for k, s in line.sights().items()} for n, ls in self._lines.items()}

    def breakers(self) -> dict[str, int]:
        """By node: how many of its routes are left alone because they hang."""
        return {node: sum(line.open() for line in lines) for node, lines in self._lines.items()}


class Lane:
    """All nodes' lines of one kind, in the order in which they are due."""

    def __init__(self, name: str, lines: list[Line], prober: Prober) -> None:
        self.name, self._lines, self._prober = name, lines, prober
        self._crew = Crew(name, MOST)
        self._due: list[tuple[float, int]] = []
        self._free = threading.Condition()
        self._busy: set[int] = set()
        self._slow: set[int] = set()  # whose last visit took long

    def spread(self, now: float, over: float) -> None:
        """All that are not being asked are due within `over` seconds from now, one after the other."""
        with self._free:
            idle = [n for n in range(len(self._lines)) if n not in self._busy]
            self._due = [(now + over * place / max(1, len(idle)), n) for place, n in enumerate(idle)]
            heapq.heapify(self._due)
            self._free.notify_all()

    def run(self, stop: threading.Event) -> None:
        """Sees to it that whoever is due is asked, and waits for no answer."""
        while not stop.is_set():
            number = self._next()
            if number is None:
                continue
            asked = self._prober.now()
            if not self._prober.active():
                self._back(number, asked + self._prober.period)
            elif not self._crew.give(lambda number=number: self._visit(number, stop)):  # type: ignore[misc]
                self._back(number, asked + IDLE)

    def end(self, within: float) -> bool:
        """After `stop`. Whether nobody is being asked any more."""
        return self._crew.end(within)

    def _visit(self, number: int, stop: threading.Event) -> None:
        asked = self._prober.now()
        try:
            if not stop.is_set():
                self._lines[number].visit(self._prober.period, hold=self._prober.hold)
        finally:
            now = self._prober.now()
            self._back(number, max(asked + self._prober.period, now), slow=now - asked > SLOW)

    def _next(self) -> int | None:
        """The line that is due, for one visit; None: none is, yet."""
        with self._free:
            wait = self._due[0][0] - self._prober.now() if self._due else IDLE
            if wait > 0:
                self._free.wait(min(wait, IDLE))
                return None
            number = heapq.heappop(self._due)[1]
            if number in self._slow and len(self._busy & self._slow) >= MOST_SLOW:
                heapq.heappush(self._due, (self._prober.now() + IDLE, number))
                return None
            self._busy.add(number)
            return number

    def _back(self, number: int, due: float, *, slow: bool | None = None) -> None:
        """`slow` None: it was not asked."""
        with self._free:
            self._busy.discard(number)
            if slow is not None:
                (self._slow.add if slow else self._slow.discard)(number)
            heapq.heappush(self._due, (due, number))
            if self._due[0][1] == number:
                self._free.notify()
