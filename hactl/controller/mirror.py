"""One linearizable look at all keys, again and again; what it says of the primary's life on two paths.

Where there are many archive nodes, their keys are read beside it (controller/archive_keys.py).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection
from typing import Final

from hactl.adapters.events import EventLog
from hactl.controller.archive_keys import ArchiveKeys
from hactl.controller.samples import Samples
from hactl.errors import Unreachable
from hactl.ports import Clock, EtcdKv
from hactl.view.control import AgentFacts, Dcs, Path, PathState
from hactl.view.keys import Keys
from hactl.view.parse.control import parse_look

WITHIN: Final = 0.7
RENEWED: Final = 0.75  # a lease is renewed each 0.5 s, and seen by a look each 0.25 s
PERIOD: Final = 0.25
PULSE: Final = 3.5  # an agent publishes each second; three missed in a row are silence


class Mirror:
    """`look` may be called by any thread; looks in one thread at a time."""

    def __init__(
        self,
        kv: EtcdKv,
        keys: Keys,
        clock: Clock,
        signs: Signs,
        log: EventLog,
        archives: ArchiveKeys | None = None,
    ) -> None:
        """`archives`: who knows archive nodes' keys, which then are not looked at here."""
        self._kv, self._keys, self._clock, self._log = kv, keys, clock, log
        self._gets, self._archives = archives.others if archives else keys.look(), archives
        self._lock = threading.Lock()
        self._signs, self._samples = signs, signs.samples
        self.wanted = threading.Event()

    def run(self, pace: Callable[[], float], stop: threading.Event, beat: Callable[[], None]) -> None:
        while not stop.is_set():
            self.wanted.clear()
            self.look()
            beat()
            self.wanted.wait(pace())

    def look(self) -> None:
        """Never raises for what the world does."""
        with self._lock:
            asked = self._clock.monotonic()
            try:
                reply = self._kv.ranges(self._gets, within=WITHIN)
            except Unreachable as error:
                self._samples.look_failed(error.message, self._clock.monotonic())
                self._log.changed("etcd", "away", "etcd does not answer", why=error.message)
                return
            dcs = parse_look(self._keys, reply)
            self._log.changed("etcd", "there", "etcd answers")
            self._log.changed("keys", dcs.problems, "keys in etcd that cannot be read", problems=dcs.problems)
            self._signs.seen(dcs, asked)
            self._samples.look(dcs if self._archives is None else self._archives.joined(dcs), asked)


@dataclasses.dataclass(frozen=True)
class _Since:
    """A value and when it was first seen, monotonic. `live`: it replaced another one before our eyes."""

    value: int
    at: float
    live: bool = False


class Signs:
    """Signs of life that are in etcd: alive keys' revisions, and what a database node sees of the other."""

    def __init__(self, samples: Samples, databases: Collection[str]) -> None:
        self.samples, self._databases = samples, databases
        self._alive: dict[str, _Since] = {}
        self._facts: dict[str, _Since] = {}
        self._known: set[tuple[str, Path]] = set()

    def seen(self, dcs: Dcs, asked: float) -> None:
        known: dict[tuple[str, Path], PathState] = {}
        for node, key in dcs.alive.items():
            since = self._alive[node] = _since(self._alive.get(node), key.mod_revision, asked)
            known[node, Path.ALIVE_KEY] = _alive(since, asked)
        for observer in self._databases:
            facts = dcs.facts.get(observer)
            if facts is None:
                continue
            pulse = self._facts[observer] = _since(self._facts.get(observer), facts.seq, asked)
            if asked - pulse.at <= PULSE:
                known.update(self._peers(facts, asked))
        for (node, path), state in known.items():
            self.samples.path(node, path, state)
        for node, path in self._known - known.keys():
            self.samples.path(node, path, None)
        self._known = set(known)

    def _peers(self, facts: AgentFacts, asked: float) -> dict[tuple[str, Path], PathState]:
        found = {}
        for node, look in facts.peers.items():
            before = self.samples.path_of(node, Path.POSTGRES)
            last_ok = asked if look.misses == 0 else before.last_ok if before else None
            found[node, Path.POSTGRES] = PathState(look.misses, last_ok, f"from {facts.node}: {look.why}")
        return found


def _since(before: _Since | None, value: int, asked: float) -> _Since:
    if before is not None and before.value == value:
        return before
    return _Since(value, asked, live=before is not None)


def _alive(since: _Since, asked: float) -> PathState:
    age = asked - since.at
    misses = 0 if age <= RENEWED else 1 + int((age - RENEWED) / PERIOD)
    last_ok = since.at if since.live else None  # what was written before we came says nothing of now
    return PathState(misses, last_ok, "" if not misses else f"revision {since.value} for {age:.1f} s")
