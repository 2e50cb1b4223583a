"""The node's own PostgreSQL, over one connection that stays open: a new one each second would be load."""

from __future__ import annotations

import contextlib
import select
import time
from collections.abc import Mapping
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import make_dsn

from hactl.errors import Unreachable
from hactl.units import Lsn
from hactl.view.control import PostgresLocal

WITHIN = 1.5
_OPTIONS = "-c statement_timeout=1000 -c application_name=hactl-agent"
# pg_stat_wal_receiver has a row while there is a receiver. A primary's timeline is in its WAL's file names,
# and so is where its WAL begins: looked up only while it matters, for there may be hundreds of files.
_SQL = """
select not pg_is_in_recovery(),
       (select sender_host from pg_stat_wal_receiver where status = 'streaming'),
       case when pg_is_in_recovery() then (select received_tli from pg_stat_wal_receiver)
            else ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end,
       case when pg_is_in_recovery() then greatest(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
            else pg_current_wal_lsn() end::text,
       array(select slot_name::text from pg_replication_slots where wal_status = 'lost' order by 1),
       case when not pg_is_in_recovery()
                 and not exists (select from pg_stat_replication where state = 'streaming') then
           (select min(('x' || substr(name, 9, 8))::bit(32)::bigint * 4294967296
                       + ('x' || substr(name, 17, 8))::bit(32)::bigint
                         * pg_size_bytes(current_setting('wal_segment_size')))
            from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$') end,
       array(select coalesce(datname::text, '(shared catalogs)') from pg_stat_database
             where checksum_failures > 0 order by 1)
"""


class LocalPostgres:
    """For one thread. The connection is asynchronous: libpq's own limits are too coarse, a query has none."""

    def __init__(self, conninfo: Mapping[str, str]) -> None:
        self._conninfo = {"options": _OPTIONS, **conninfo}
        self._connection: Any = None

    def look(self) -> PostgresLocal:
        """Raises Unreachable: no answer within 1.5 s, or no proper one. The next look connects anew."""
        deadline = time.monotonic() + WITHIN
        try:
            if self._connection is None:
                self._connection = psycopg2.connect(make_dsn(**self._conninfo), async_=1)
                self._wait(deadline)
            cursor = self._connection.cursor()
            cursor.execute(_SQL)
            self._wait(deadline)
            row = cursor.fetchone()
        except psycopg2.Error as error:
            self.close()
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise Unreachable(f"PostgreSQL: {lines[0]}") from error
        except Unreachable:
            self.close()
            raise
        writable, sender, timeline, lsn, lost, oldest, damaged = row
        return PostgresLocal(
            bool(writable), str(sender or ""), timeline, Lsn.parse(lsn) if lsn else None, tuple(lost),
            None if oldest is None else Lsn(int(oldest)), tuple(damaged),
        )  # fmt: skip

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _wait(self, deadline: float) -> None:
        while (state := self._connection.poll()) != psycopg2.extensions.POLL_OK:
            events = select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT
            left = deadline - time.monotonic()
            poller = select.poll()  # a new one each time: while connecting, libpq changes its socket
            poller.register(self._connection.fileno(), events)
            if left <= 0 or not poller.poll(left * 1000):
                raise Unreachable(f"PostgreSQL gives no answer within {WITHIN:g} s")
