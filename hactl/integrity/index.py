"""Orthanc's index, read only: the tables of its PostgreSQL plugin 4.0, through the database VIP."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg2
from psycopg2.extensions import make_dsn

from hactl.errors import Unreachable
from hactl.integrity.model import DICOM, Position, Row
from hactl.units import Lsn

AT_ONCE: Final = 2000  # rows that a server-side cursor hands over at once
# The file on the disk is what is compared: with StorageCompression off both sizes and digests are the same.
_COLUMNS: Final = "uuid, coalesce(compressedsize, 0), coalesce(compressedhash, ''), id, filetype"
_EVERY: Final = f'SELECT {_COLUMNS} FROM attachedfiles ORDER BY uuid COLLATE "C"'  # noqa: S608 - our own words
_READ_ONLY: Final = "-c default_transaction_read_only=on -c application_name=hactl-integrity -c timezone=UTC"
# The timeline is in the name of the file being written; pg_control_checkpoint() is late after a promotion.
_POSITION: Final = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), pg_current_wal_lsn()::text"


class Index:
    """For one thread; connects by itself, and anew after an error. Every statement has a time limit."""

    def __init__(self, conninfo: Mapping[str, str], *, within: float = 30.0) -> None:
        self._conninfo = {"options": f"{_READ_ONLY} -c statement_timeout={int(within * 1000)}", **conninfo}
        self._connection: Any = None

    def position(self) -> Position:
        """Where the primary's write-ahead log is. Raises Unreachable."""
        timeline, lsn = self._rows(_POSITION)[0]
        return Position(int(timeline, 16), Lsn.parse(lsn))

    def newest(self) -> int:
        """The highest id of a resource that has a file; 0: none. Raises Unreachable."""
        return int(self._rows("SELECT coalesce(max(id), 0) FROM attachedfiles")[0][0])

    def after(self, resource: int, limit: int) -> list[Row]:
        """Rows by their resource's id, from behind `resource` on. Raises Unreachable."""
        sql = f"SELECT {_COLUMNS} FROM attachedfiles WHERE id > %s ORDER BY id, filetype LIMIT %s"  # noqa: S608
        return [Row(*row) for row in self._rows(sql, (resource, limit))]

    def of_resources(self, resources: Sequence[int]) -> list[Row]:
        """The rows that these resources have now. Raises Unreachable."""
        sql = f"SELECT {_COLUMNS} FROM attachedfiles WHERE id = ANY(%s)"  # noqa: S608
        return [Row(*row) for row in self._rows(sql, (list(resources),))]

    def having(self, uuids: Sequence[str]) -> dict[str, Row]:
        """Those of `uuids` that have a row now: one pass over the table. Raises Unreachable."""
        sql = f"SELECT {_COLUMNS} FROM attachedfiles WHERE uuid = ANY(%s)"  # noqa: S608
        return {row.uuid: row for row in (Row(*found) for found in self._rows(sql, (list(uuids),)))}

    def deleted(self) -> list[str]:
        """The files of the last deletion: Orthanc empties this table before the next. Raises Unreachable."""
        return [str(uuid) for (uuid,) in self._rows("SELECT uuid FROM deletedfiles")]

    def image(self, public_id: str) -> Row | None:
        """The image file of an instance. Raises Unreachable."""
        columns = "a.uuid, coalesce(a.compressedsize, 0), coalesce(a.compressedhash, ''), a.id, a.filetype"
        join = "attachedfiles a JOIN resources r ON r.internalid = a.id"
        where = "r.publicid = %s AND r.resourcetype = 3 AND a.filetype = %s"
        sql = f"SELECT {columns} FROM {join} WHERE {where}"  # noqa: S608 - our own words
        found = self._rows(sql, (public_id, DICOM))
        return Row(*found[0]) if found else None

    def every(self) -> Iterator[Row]:
        """All rows, sorted by uuid as bytes, from one snapshot: a cursor on the server, so memory stays flat.

        Raises Unreachable. Read it to its end soon: an open snapshot keeps vacuum from cleaning up.
        """
        with self._failing():
            connection = psycopg2.connect(make_dsn(**{**self._conninfo, "options": _READ_ONLY}))
            try:
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                with connection.cursor(name="hactl_index") as cursor:
                    cursor.itersize = AT_ONCE
                    cursor.execute(_EVERY)
                    for row in cursor:
                        yield Row(*row)
            finally:
                connection.close()

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._failing():
            if self._connection is None:
                self._connection = psycopg2.connect(make_dsn(**self._conninfo))
                self._connection.set_session(readonly=True, autocommit=True)
            with self._connection.cursor() as cursor:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall())

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            self.close()
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise Unreachable(f"the index: {lines[0]}") from error
