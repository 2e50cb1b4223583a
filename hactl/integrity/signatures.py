"""Detached signatures of this node: append-only, in SQLite, beside the manifest."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hactl.errors import StepFailed
from hactl.integrity.splice import Block

_MAKE: Final = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS signatures (
  uuid TEXT PRIMARY KEY, kind TEXT NOT NULL, sha256 TEXT NOT NULL, at TEXT NOT NULL, why TEXT NOT NULL,
  macs BLOB NOT NULL, signatures BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS no_delete BEFORE DELETE ON signatures
  BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER IF NOT EXISTS no_update BEFORE UPDATE ON signatures
  BEGIN SELECT RAISE(ABORT, 'append-only'); END;
"""
SIGNED: Final = "signed"
OWN: Final = "own"  # came with a signature of its own, which stays as it is
NOT: Final = "not-signable"
BUSY: Final = 30.0  # s: one process writes while another reads


NOTHING: Final = Block(b"", b"")


@dataclass(frozen=True)
class Signature:
    """`sha256`: of the whole file when it was signed; `why`: of what cannot be signed."""

    uuid: str
    kind: str
    sha256: str
    at: str
    why: str = ""
    block: Block = NOTHING


class Signatures:
    """For one thread at a time. Raises StepFailed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._failing():
            self._db = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
            self._db.executescript(_MAKE)

    def close(self) -> None:
        self._db.close()

    def add(self, found: Signature) -> None:
        with self._failing():
            values = (found.uuid, found.kind, found.sha256, found.at, found.why)
            sql = "INSERT OR IGNORE INTO signatures VALUES (?, ?, ?, ?, ?, ?, ?)"
            self._db.execute(sql, (*values, found.block.macs, found.block.signatures))

    def of(self, uuid: str) -> Signature | None:
        with self._failing():
            sql = "SELECT uuid, kind, sha256, at, why, macs, signatures FROM signatures WHERE uuid = ?"
            row = self._db.execute(sql, (uuid,)).fetchone()
        if row is None:
            return None
        name, kind, sha256, at, why, macs, signatures = row
        return Signature(name, kind, sha256, at, why, Block(macs, signatures))

    def counts(self) -> dict[str, int]:
        with self._failing():
            return dict(self._db.execute("SELECT kind, count(*) FROM signatures GROUP BY kind").fetchall())

    def notes(self) -> dict[str, str]:
        with self._failing():
            return dict(self._db.execute("SELECT name, value FROM notes").fetchall())

    def note(self, values: Mapping[str, str]) -> None:
        with self._failing():
            sql = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
            self._db.executemany(sql, tuple(values.items()))

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StepFailed(f"the signatures {self._path}: {error}") from error
