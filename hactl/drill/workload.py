"""Clients of the database VIP: writers that keep their connection, and a probe with a new one each time.

Of the readers, one keeps its connection and one opens a new one for each read. On each database node itself
two more write: to a node that was cut off and still holds the VIP, nobody else gets.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import psycopg2

from hactl.drill.history import History, Outcome, Read
from hactl.drill.link import Conninfo, Link, first_line
from hactl.drill.writer import Attempt, Opened, Target, Writer, connected
from hactl.errors import Unreachable

# No unique constraint on (client, seq): a row that is there twice must be seen, not refused.
TABLE = """
create table if not exists drill_row (
    id bigint generated always as identity primary key,
    run text not null, client text not null, seq int not null);
create index if not exists drill_row_read on drill_row (run, client, seq)
"""


@dataclass(frozen=True)
class Load:
    """How hard the clients press. Rates per second, times in seconds."""

    writers: int = 4
    readers: int = 2  # the last one opens a new connection for each read
    read_every: float = 0.1
    rate: float = 20.0  # of one writer, at most
    inside_every: float = 0.2  # of each that runs on a database node
    probe_every: float = 0.2
    pressed_every: float = 0.05  # from a fault on: how finely the end of an outage is seen
    within: float = 3.0  # of one call: connect, insert or commit
    probe_connect: float = (
        1.0  # of a probe's connecting: one that waits for a lost SYN's repetition is late anyway
    )
    probes_at_once: int = 32  # each may hang until its deadline while the VIP is away


def prepare(conninfo: Conninfo, *, within: float) -> None:
    """Makes the table. Raises Unreachable or psycopg2.Error."""
    link = Link.open(conninfo, within)
    try:
        link.run(TABLE, within=within)
    finally:
        link.close()


class Workload:
    """Runs the clients in threads of the caller's network namespace until it is stopped.

    `inside`: database node -> how a client that runs there connects.
    """

    def __init__(
        self,
        target: Target,
        history: History,
        load: Load | None = None,
        inside: Mapping[str, Opened] | None = None,
    ) -> None:
        self._target = target
        self._history = history
        self._load = load or Load()
        self._inside = inside or {}
        self._stop = threading.Event()
        self._pressing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._free = threading.BoundedSemaphore(self._load.probes_at_once)

    def start(self) -> None:
        for writer in (*self._outside(), *self._on_nodes()):
            self._threads.append(_spawned(partial(writer.run, self._stop)))
        self._threads.append(_spawned(self._prober))
        for n in range(self._load.readers):
            fresh = n + 1 == self._load.readers
            self._threads.append(_spawned(partial(self._reader, f"r{n + 1}", fresh=fresh)))

    def press(self, *, on: bool) -> None:
        """Whether new connections are tried as often as after a fault: each costs both sides some work."""
        (self._pressing.set if on else self._pressing.clear)()

    def stop(self) -> None:
        """Ends every client; each needs at most three calls' time."""
        self._stop.set()
        deadline = time.monotonic() + 4 * self._load.within
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        ended = not any(thread.is_alive() for thread in self._threads)
        for _ in range(self._load.probes_at_once):  # every probe has given its place back
            ended = self._free.acquire(timeout=max(0.0, deadline - time.monotonic())) and ended
        if not ended:
            raise Unreachable("a client of the drill did not end in time")

    def _outside(self) -> list[Writer]:
        names, every = [f"w{n + 1}" for n in range(self._load.writers)], 1 / self._load.rate
        return [
            Writer(name, self._target, self._history, self._open, every, self._load.within) for name in names
        ]

    def _on_nodes(self) -> list[Writer]:
        every, within = self._load.inside_every, self._load.within
        return [
            Writer(name, self._target, self._history, opened, every, within, fresh, node)
            for node, opened in self._inside.items()
            for name, fresh in ((f"on-{node}", False), (f"new-{node}", True))
        ]

    def _open(self, within: float) -> Link:
        return Link.open(self._target.conninfo, within)

    def _reader(self, name: str, *, fresh: bool) -> None:
        held: Link | None = None
        while not self._stop.is_set():
            begin = time.monotonic()
            sent: float | None = None
            try:
                held = held or self._open(self._load.within)
                sent = time.monotonic()
                node, recovery, seen = held.seen(self._target.run, self._writing, within=self._load.within)
                end = time.monotonic()
                read = Read(name, begin, sent, end, Outcome.OK, seen, node, recovery, fresh)
            except (Unreachable, psycopg2.Error) as error:
                read = Read(
                    name, begin, sent, time.monotonic(), Outcome.FAIL, fresh=fresh, why=first_line(error)
                )
            self._history.add(read)
            if held and (fresh or read.outcome is not Outcome.OK):
                held.close()
                held = None
            self._stop.wait(max(0.0, begin + self._load.read_every - time.monotonic()))
        if held:
            held.close()

    @property
    def _writing(self) -> tuple[str, ...]:
        return (*(writer.name for writer in (*self._outside(), *self._on_nodes())), "probe")

    def _prober(self) -> None:
        seq = 0
        while not self._stop.wait(self._pace()):
            if self._free.acquire(blocking=False):
                seq += 1
                _spawned(partial(self._probe, seq))

    def _pace(self) -> float:
        return self._load.pressed_every if self._pressing.is_set() else self._load.probe_every

    def _probe(self, seq: int) -> None:
        begin = time.monotonic()
        attempt = Attempt(self._target, self._history, "probe", seq, fresh=True, within=self._load.within)
        try:
            link, server = connected(self._open, self._load.probe_connect, self._load.within)
        except (Unreachable, psycopg2.Error) as error:
            attempt.record(begin, None, None, why=first_line(error))
        else:
            attempt.write(link, server, begin)
            link.close()
        finally:
            self._free.release()


def _spawned(act: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread
