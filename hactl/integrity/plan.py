"""A run's copy of the index, in a file: no snapshot stays open for hours, and a run can go on later."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hactl.errors import StepFailed
from hactl.integrity.model import Row

_MAKE: Final = """
CREATE TABLE rows (
  uuid TEXT PRIMARY KEY, size INTEGER, md5 TEXT, resource INTEGER, kind INTEGER) WITHOUT ROWID;
CREATE TABLE made (made INTEGER, count INTEGER, bytes INTEGER);
"""


class Plan:
    """The rows by uuid; memory stays flat however many there are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db: sqlite3.Connection | None = None

    def made(self) -> bool:
        """Whether a whole copy is there."""
        if not self._path.exists():
            return False
        try:
            return bool(self._open().execute("SELECT count(*) FROM made").fetchone()[0] == 1)
        except sqlite3.Error:
            self.drop()
            return False

    def make(self, rows: Iterable[Row]) -> None:
        """A fresh copy. `rows` are sorted, so that the file is written from its beginning to its end."""
        self.drop()
        db = self._open()
        with _failing(self._path):
            db.executescript(_MAKE)
            db.execute("BEGIN")
            values = ((r.uuid, r.size, r.md5, r.resource, r.kind) for r in rows)
            db.executemany("INSERT INTO rows VALUES (?, ?, ?, ?, ?)", values)
            db.execute("INSERT INTO made SELECT 1, count(*), coalesce(sum(size), 0) FROM rows")
            db.execute("COMMIT")

    def totals(self) -> tuple[int, int]:
        """Rows and bytes."""
        with _failing(self._path):
            count, size = self._open().execute("SELECT count, bytes FROM made").fetchone()
        return int(count), int(size)

    def folders(self, first: str) -> tuple[str, ...]:
        """The folders of the second level that have rows below `first`."""
        with _failing(self._path):
            sql = "SELECT DISTINCT substr(uuid, 3, 2) FROM rows WHERE uuid >= ? AND uuid < ?"
            return tuple(str(name) for (name,) in self._open().execute(sql, (first, _end(first))))

    def below(self, prefix: str) -> tuple[Row, ...]:
        """The rows whose uuid begins so, sorted."""
        with _failing(self._path):
            sql = (
                "SELECT uuid, size, md5, resource, kind FROM rows WHERE uuid >= ? AND uuid < ? ORDER BY uuid"
            )
            return tuple(Row(*row) for row in self._open().execute(sql, (prefix, _end(prefix))))

    def every(self) -> Iterator[Row]:
        with _failing(self._path):
            sql = "SELECT uuid, size, md5, resource, kind FROM rows ORDER BY uuid"
            for row in self._open().execute(sql):
                yield Row(*row)

    def drop(self) -> None:
        self.close()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    def _open(self) -> sqlite3.Connection:
        if self._db is None:
            self._db = sqlite3.connect(self._path, isolation_level=None)
            # It can be made again at any time: nothing of it need survive a crash. The cache is 8 MiB.
            self._db.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-8192;"
            )
        return self._db


def _end(prefix: str) -> str:
    """What sorts behind everything that begins with `prefix`, which is of hexadecimal digits."""
    return prefix + "g"


@contextlib.contextmanager
def _failing(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StepFailed(f"{path}: {error}") from error
