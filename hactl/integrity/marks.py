"""What was found wrong and is not mended yet, and what became of it: a small database beside the manifest."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hactl.errors import StepFailed
from hactl.integrity.model import Finding, Kind

_MAKE: Final = """
PRAGMA journal_mode=WAL;
PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS marks (
  uuid TEXT NOT NULL, path TEXT NOT NULL, kind TEXT NOT NULL, why TEXT NOT NULL, size INTEGER NOT NULL,
  found TEXT NOT NULL, seen TEXT NOT NULL, mended TEXT NOT NULL DEFAULT '', said TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (path));
"""
_FIELDS: Final = "kind, uuid, path, why, size, found, seen, mended, said"


@dataclass(frozen=True)
class Mark:
    """`found`, `seen`: the runs that saw it first and last. `mended`: since which run it is well."""

    finding: Finding
    found: str
    seen: str
    mended: str
    said: str

    def plain(self) -> dict[str, object]:
        f = self.finding
        return {
            "kind": str(f.kind), "uuid": f.uuid, "path": f.path, "why": f.why, "size": f.size,
            "found": self.found, "seen": self.seen, "mended": self.mended, "said": self.said,
        }  # fmt: skip


class Marks:
    """By path below the storage: each object has one mark, the newest word counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._failing():
            self._db = sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)
            self._db.executescript(_MAKE)

    def close(self) -> None:
        self._db.close()

    def add(self, findings: Iterable[Finding], run: str) -> None:
        """Seen by `run`. What was marked as mended and is wrong again is open again."""
        sql = (
            "INSERT INTO marks (kind, uuid, path, why, size, found, seen) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (path) DO UPDATE SET kind = excluded.kind, why = excluded.why,"
            " size = excluded.size, seen = excluded.seen, said = '',"
            " found = CASE WHEN mended = '' THEN found ELSE excluded.found END, mended = ''"
        )
        rows = ((str(f.kind), f.uuid, f.path, f.why, f.size, run, run) for f in findings)
        with self._failing(), self._db:
            self._db.executemany(sql, rows)

    def mend(self, path: str, run: str, said: str) -> None:
        with self._failing(), self._db:
            self._db.execute("UPDATE marks SET mended = ?, said = ? WHERE path = ?", (run, said, path))

    def say(self, path: str, said: str) -> None:
        """Why it is not mended."""
        with self._failing(), self._db:
            self._db.execute("UPDATE marks SET said = ? WHERE path = ?", (said, path))

    def settle(self, run: str, kinds: Iterable[Kind]) -> int:
        """A whole run did not see them again: they are well, or gone with their row. How many that were."""
        names = [str(kind) for kind in kinds]
        of_kinds = f"kind IN ({', '.join('?' * len(names))})"
        sql = f"UPDATE marks SET mended = ?, said = ? WHERE mended = '' AND seen <> ? AND {of_kinds}"  # noqa: S608
        with self._failing(), self._db:
            return self._db.execute(sql, (run, "not found any more", run, *names)).rowcount

    def open(self, kinds: Iterable[Kind] = tuple(Kind), limit: int = -1) -> list[Mark]:
        """What is not mended, the worst kinds as the caller orders them; -1: all of it."""
        found = []
        for kind in kinds:
            sql = f"SELECT {_FIELDS} FROM marks WHERE mended = '' AND kind = ? ORDER BY path LIMIT ?"  # noqa: S608
            with self._failing():
                found += [_mark(row) for row in self._db.execute(sql, (str(kind), limit))]
        return found

    def of_run(self, run: str, limit: int) -> list[Mark]:
        """What this run found or mended."""
        sql = f"SELECT {_FIELDS} FROM marks WHERE seen = ? OR mended = ? ORDER BY kind, path LIMIT ?"  # noqa: S608
        with self._failing():
            return [_mark(row) for row in self._db.execute(sql, (run, run, limit))]

    def counts(self) -> dict[str, int]:
        """Open marks by kind; every kind is there."""
        sql = "SELECT kind, count(*) FROM marks WHERE mended = '' GROUP BY kind"
        with self._failing():
            found = dict(self._db.execute(sql).fetchall())
        return {str(kind): int(found.get(str(kind), 0)) for kind in Kind}

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StepFailed(f"{self._path}: {error}") from error


def _mark(row: tuple[str, str, str, str, int, str, str, str, str]) -> Mark:
    kind, uuid, path, why, size, found, seen, mended, said = row
    return Mark(Finding(Kind(kind), uuid, path, why, size), found, seen, mended, said)
