"""hactl's own manifest of this node: SHA-256 of each object, append-only, in SQLite, with a hash chain.

SQLite, not the cluster's database: who can edit the index must not be able to edit this. It lies on the
archive node's own disk, and belongs to an account that neither Orthanc nor PostgreSQL has.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from hactl.errors import StepFailed
from hactl.integrity import chain
from hactl.integrity.chain import GONE, INGEST, LATER, Record, Segment
from hactl.integrity.model import Entry, Gone, Position
from hactl.units import Lsn

_MAKE: Final = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
PRAGMA cache_size=-8192;
CREATE TABLE IF NOT EXISTS records (
  seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, uuid TEXT NOT NULL, size INTEGER NOT NULL,
  md5 TEXT NOT NULL, sha256 TEXT NOT NULL, timeline INTEGER NOT NULL, lsn INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS by_uuid ON records (uuid);
CREATE TABLE IF NOT EXISTS segments (
  number INTEGER PRIMARY KEY, first INTEGER NOT NULL, records INTEGER NOT NULL,
  digest TEXT NOT NULL, chain TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
# Against mistakes of our own; who means harm is found by the chain.
_GUARD: Final = (
    "CREATE TRIGGER IF NOT EXISTS {verb}_{table} BEFORE {verb} ON {table}"
    " BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
)
_GUARDS: Final = "".join(
    _GUARD.format(verb=verb, table=table)
    for table in ("records", "segments")
    for verb in ("DELETE", "UPDATE")
)
_FIELDS: Final = "kind, uuid, size, md5, sha256, timeline, lsn"
BUSY: Final = 30.0  # s: the follower writes while a scrub reads


class Manifest:
    """For one thread at a time. Several processes may read while one writes."""

    def __init__(self, path: Path, node: str) -> None:
        self._path, self._node = path, node
        with self._failing():
            self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
            self._db.executescript(_MAKE + _GUARDS)

    def close(self) -> None:
        self._db.close()

    def append(self, records: Sequence[Record], notes: dict[str, str] | None = None) -> Segment | None:
        """One segment with these records, and what the follower wants to remember, in one transaction."""
        with self._failing():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                segment = self._segment(records) if records else None
                sql = (
                    "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
                )
                self._db.executemany(sql, (notes or {}).items())
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
        return segment

    def _segment(self, records: Sequence[Record]) -> Segment:
        segment = chain.link(self.head(), self._node, len(records), chain.digest(records))
        rows = (
            (segment.first + n, r.kind, r.uuid, r.size, r.md5, r.sha256, r.timeline, r.lsn)
            for n, r in enumerate(records)
        )
        self._db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        values = (segment.number, segment.first, segment.records, segment.digest, segment.chain)
        self._db.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?)", values)
        return segment

    def head(self) -> Segment | None:
        with self._failing():
            sql = "SELECT number, first, records, digest, chain FROM segments ORDER BY number DESC LIMIT 1"
            found = self._db.execute(sql).fetchone()
        return Segment(*found) if found else None

    def notes(self) -> dict[str, str]:
        with self._failing():
            return dict(self._db.execute("SELECT name, value FROM notes").fetchall())

    def objects(self) -> int:
        with self._failing():
            sql = "SELECT count(*) FROM records WHERE kind IN (?, ?)"
            return int(self._db.execute(sql, (INGEST, LATER)).fetchone()[0])

    def below(self, prefix: str) -> dict[str, Entry]:
        """The entries of all objects whose uuid begins so: of each the first, no later one."""
        found: dict[str, Entry] = {}
        for record in self._records("uuid >= ? AND uuid < ?", (prefix, prefix + "g")):
            if record.kind in {INGEST, LATER}:
                found.setdefault(record.uuid, entry(record))
        return found

    def of(self, uuid: str) -> tuple[Entry | None, Gone | None]:
        """What is known of one object: its first entry, and the first note that its row went."""
        known, gone = None, None
        for record in self._records("uuid = ?", (uuid,)):
            if record.kind in {INGEST, LATER} and known is None:
                known = entry(record)
            if record.kind == GONE and gone is None:
                gone = Gone(record.uuid, _position(record), record.md5)
        return known, gone

    def missing(self, uuids: Iterable[str]) -> set[str]:
        """Those of `uuids` that have no entry."""
        return {uuid for uuid in uuids if self.of(uuid)[0] is None}

    def segments(self) -> Iterator[tuple[Segment, Iterator[Record]]]:
        """All of it in its order, read as it is asked for."""
        with self._failing():
            sql = "SELECT number, first, records, digest, chain FROM segments ORDER BY number"
            for row in self._db.execute(sql):
                segment = Segment(*row)
                last = segment.first + segment.records
                yield segment, self._records("seq >= ? AND seq < ?", (segment.first, last), order="seq")

    def surplus(self) -> int:
        """Records outside of every segment: nothing of hactl's leaves any."""
        with self._failing():
            sql = "SELECT (SELECT count(*) FROM records) - (SELECT coalesce(sum(records), 0) FROM segments)"
            return int(self._db.execute(sql).fetchone()[0])

    def problems(self, anchors: Iterable[chain.Anchor]) -> list[str]:
        """Everything that says that somebody changed it; reads it once, from its beginning to its end."""
        found = list(chain.problems(self._node, self.segments(), anchors))
        surplus = self.surplus()
        return [*found, *([f"{surplus} records belong to no segment"] if surplus else [])]

    def _records(self, where: str, values: tuple[object, ...], order: str = "uuid, seq") -> Iterator[Record]:
        with self._failing():
            sql = f"SELECT {_FIELDS} FROM records WHERE {where} ORDER BY {order}"  # noqa: S608 - our own words
            for row in self._db.execute(sql, values):
                yield Record(*row)

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StepFailed(f"the manifest {self._path}: {error}") from error


def entry(record: Record) -> Entry:
    return Entry(
        record.uuid, record.size, record.md5, record.sha256, record.kind == INGEST, _position(record)
    )


def _position(record: Record) -> Position:
    return Position(record.timeline, Lsn(record.lsn))
