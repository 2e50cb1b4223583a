"""A PostgreSQL connection on which no call can last longer than it may.

libpq's own limits are too coarse (connect_timeout is at least 2 s, a query has none), so the connection is
asynchronous: each step waits on the socket at most until its deadline, and then the socket is closed.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import make_dsn

from hactl.drill.history import Server
from hactl.errors import Unreachable

# cluster_name is Patroni's scope, the same on both nodes; hactl renders the node's own name as a setting.
_WHO = """
select coalesce(nullif(current_setting('hactl.node', true), ''), current_setting('cluster_name'), '?'),
       (select system_identifier::text from pg_control_system()),
       ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
       pg_postmaster_start_time()::text
"""
# Also on a standby: which rows of a run a reader sees, by the index, so that no table is too long for it.
_SEEN = """
select coalesce(nullif(current_setting('hactl.node', true), ''), current_setting('cluster_name'), '?'),
       pg_is_in_recovery(),
       array(select coalesce((select max(seq) from drill_row where run = %s and client = c), 0)
             from unnest(%s::text[]) with ordinality as clients (c, place) order by place)
"""
# Warnings must arrive; what the role's own settings say about durability must stand.
OPTIONS = "-c client_min_messages=notice -c application_name=hactl-drill"

Conninfo = Mapping[str, str]


class Link:
    """One connection. Every method raises Unreachable (time is up, no connection) or psycopg2.Error."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @classmethod
    def open(cls, conninfo: Conninfo, within: float) -> Self:
        """Of several hosts, with commas between them, the first that will have us, as libpq does it.

        Each is tried once, in their order, for at most `connect_timeout` seconds. libpq heeds that only when
        it may wait itself, so a dead first host would take all the time there is.
        """
        deadline = time.monotonic() + within
        *others, last = conninfo.get("host", "").split(",")
        for host in others:
            each = min(deadline - time.monotonic(), float(conninfo["connect_timeout"]))
            try:
                return cls._open({**conninfo, "host": host}, each)
            except Unreachable:
                continue
        one = {**conninfo, "host": last} if others else conninfo
        return cls._open(one, deadline - time.monotonic())

    @classmethod
    def _open(cls, conninfo: Conninfo, within: float) -> Self:
        deadline = time.monotonic() + within
        try:
            connection = psycopg2.connect(make_dsn(**{"options": OPTIONS, **conninfo}), async_=1)
        except psycopg2.Error as error:
            raise Unreachable(first_line(error)) from error
        link = cls(connection)
        try:
            link.wait(deadline)
        except psycopg2.Error as error:
            link.close()
            raise Unreachable(first_line(error)) from error
        except Unreachable:
            link.close()
            raise
        return link

    def wait(self, deadline: float) -> None:
        """Until the current step is done. Raises Unreachable at `deadline`."""
        while (state := self._connection.poll()) != psycopg2.extensions.POLL_OK:
            events = select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT
            left = deadline - time.monotonic()
            poller = select.poll()  # a new one each time: while connecting, libpq changes its socket
            poller.register(self._connection.fileno(), events)
            if left <= 0 or not poller.poll(left * 1000):
                raise Unreachable("no answer in time")

    def run(self, sql: str, values: Sequence[object] = (), *, within: float) -> list[tuple[Any, ...]]:
        """The rows of one statement (or of the last of several)."""
        cursor = self._connection.cursor()
        cursor.execute(sql, tuple(values) or None)
        self.wait(time.monotonic() + within)
        return list(cursor.fetchall()) if cursor.description else []

    def commit(self, *, within: float) -> str:
        """Sends COMMIT; the warnings that came with its answer, one text ("" for none).

        psycopg2 gives notices as text without SQLSTATE, so every notice counts: 01000 (a wait for the standby
        was cancelled) is the one that matters, and no other belongs to a COMMIT.
        """
        self._connection.notices.clear()
        cursor = self._connection.cursor()
        cursor.execute("COMMIT")
        self.wait(time.monotonic() + within)
        said = " ".join(text.strip() for text in self._connection.notices)
        return said if cursor.statusmessage == "COMMIT" else f"answer {cursor.statusmessage} {said}"

    def who(self, *, within: float) -> Server:
        """Which instance this is. Raises psycopg2.Error on a standby: it has no WAL of its own."""
        node, system, timeline, started = self.run(_WHO, within=within)[0]
        return Server(node, system, timeline, started)

    def seen(self, run: str, clients: Sequence[str], *, within: float) -> tuple[str, bool, dict[str, int]]:
        """Who answers, whether it is in recovery, and the highest row of each client that is seen there."""
        node, recovery, highest = self.run(_SEEN, (run, list(clients)), within=within)[0]
        return node, recovery, dict(zip(clients, highest, strict=True))

    def writer(self, *, within: float) -> Server | None:
        """Which instance this is if it takes writes; None while it is in recovery."""
        deadline = time.monotonic() + within
        # Two statements: from one to the next an instance can only leave recovery, never enter it.
        if self.run("select pg_is_in_recovery()", within=within)[0][0]:
            return None
        return self.who(within=deadline - time.monotonic())

    def close(self) -> None:
        self._connection.close()


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
