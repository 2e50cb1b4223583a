"""What many archive nodes say in etcd, and what is said of them: read page by page, beside the fast looks.

A thousand agents' reports are more than a megabyte: read at once, four times a second, they would hold up the
failover. A page is read in some milliseconds, and what has not changed in it is not understood again.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from hactl.adapters.events import EventLog
from hactl.errors import Unreachable
from hactl.ports import Clock, EtcdKv
from hactl.view.archive import ArchiveMark, Drain
from hactl.view.control import AgentFacts, Dcs
from hactl.view.keys import Keys
from hactl.view.kv import Get, Pair, end_of
from hactl.view.parse.control import parse_archive_key

PAGE: Final = 200  # keys
EVERY: Final = 0.2  # seconds between two pages: of a thousand nodes all are read in two seconds
WITHIN: Final = 1.0
OLD: Final = 15.0  # seconds after which nothing of it counts any more


@dataclass(frozen=True)
class _Known:
    """By node. Once it was given away it is replaced, not changed."""

    facts: dict[str, AgentFacts] = field(default_factory=dict)
    drains: dict[str, Drain] = field(default_factory=dict)
    marks: dict[str, ArchiveMark] = field(default_factory=dict)

    def learn(self, found: tuple[str, Drain | ArchiveMark | AgentFacts] | None) -> None:
        match found:
            case (node, AgentFacts() as facts):
                self.facts[node] = facts
            case (node, Drain() as drain):
                self.drains[node] = drain
            case (node, ArchiveMark() as mark):
                self.marks[node] = mark

    def forget(self, keys: Keys, key: str) -> None:
        archives, facts = (get.key for get in keys.of_archives())
        if key.startswith(facts):
            self.facts.pop(key.removeprefix(facts), None)
            return
        node, _, what = key.removeprefix(archives).partition("/")
        if what == "drain":
            self.drains.pop(node, None)
        elif what == "state":
            self.marks.pop(node, None)


class ArchiveKeys:
    """Thread-safe. `others`: what remains to be looked at of all keys but the journal's."""

    def __init__(self, kv: EtcdKv, keys: Keys, voters: Iterable[str], clock: Clock, log: EventLog) -> None:
        self.others = keys.look_but_archives(voters)
        self._kv, self._keys, self._clock, self._log = kv, keys, clock, log
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._revisions: dict[str, int] = {}  # of each key that was read
        self._known = _Known()
        self._ranges = keys.of_archives()
        self._range, self._next, self._began = 0, self._ranges[0].key, 0.0
        self._whole: float | None = None  # when the last whole round began

    def run(self, active: Callable[[], bool], stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            if active():
                self.page()
            else:
                self.forget()

    def page(self) -> None:
        """One more page. Never raises for what the world does: it is asked for again."""
        with self._reading:
            if (self._range, self._next) == (0, self._ranges[0].key):
                self._began = self._clock.monotonic()
            end = end_of(self._ranges[self._range])
            try:
                found = self._ask(self._next, end)
            except Unreachable as error:
                self._log.changed(
                    "archive keys", "away", "archive nodes' keys are not read", why=error.message
                )
                return
            self._log.changed("archive keys", "there", "archive nodes' keys are read")
            more = len(found) == PAGE
            self._take(found, self._next, found[-1].key + "\0" if more else end)
            self._turn(found[-1].key + "\0" if more else "")

    def all(self) -> bool:
        """Every page at once, for whoever is about to act; False, never an error: not all could be read."""
        with self._reading:  # a page that was asked for before must not overwrite what is read now
            for range_ in self._ranges:
                begin, end = range_.key, end_of(range_)
                while begin:
                    try:
                        found = self._ask(begin, end)
                    except Unreachable:
                        return False
                    after = found[-1].key + "\0" if len(found) == PAGE else ""
                    self._take(found, begin, after or end)
                    begin = after
        return True

    def forget(self) -> None:
        with self._reading, self._lock:
            self._revisions, self._known = {}, _Known()
            self._range, self._next, self._whole = 0, self._ranges[0].key, None

    def joined(self, dcs: Dcs) -> Dcs:
        """With what is known of archive nodes, as long as that is whole and fresh."""
        with self._lock:
            fresh = self._whole is not None and self._clock.monotonic() - self._whole <= OLD
            known = self._known if fresh else _Known()
        return dataclasses.replace(
            dcs,
            facts={**known.facts, **dcs.facts},
            drains=known.drains,
            archive_states=known.marks,
            archives_known=fresh,
        )

    def _ask(self, begin: str, end: str) -> tuple[Pair, ...]:
        return self._kv.ranges((Get(begin, until=end, limit=PAGE),), within=WITHIN).ranges[0]

    def _turn(self, next_: str) -> None:
        """`next_` empty: this range is read to its end."""
        if next_:
            self._next = next_
            return
        self._range = (self._range + 1) % len(self._ranges)
        self._next = self._ranges[self._range].key
        if self._range == 0:
            with self._lock:
                self._whole = self._began

    def _take(self, found: tuple[Pair, ...], begin: str, end: str) -> None:
        """All keys from `begin` up to, and without, `end` are as they were `found`."""
        here = {pair.key for pair in found}
        with self._lock:
            gone = [key for key in self._revisions if begin <= key < end and key not in here]
            news = [pair for pair in found if self._revisions.get(pair.key) != pair.mod_revision]
            if gone or news:
                known = _Known(dict(self._known.facts), dict(self._known.drains), dict(self._known.marks))
                for key in gone:
                    del self._revisions[key]
                    known.forget(self._keys, key)
                for pair in news:
                    self._revisions[pair.key] = pair.mod_revision
                    self._learn(known, pair)
                self._known = known

    def _learn(self, known: _Known, pair: Pair) -> None:
        known.forget(self._keys, pair.key)
        try:
            known.learn(parse_archive_key(self._keys, pair))
        except ValueError as error:
            self._log.say("a key in etcd cannot be read", key=pair.key, why=str(error))
