"""A PostgreSQL connection that lives for a few statements, within one deadline.

libpq's own limit for connecting is 2 s at least, and a query has none: so the connection is asynchronous, and
each step waits on its socket at most until the deadline.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import make_dsn

from hactl.errors import Unreachable


class Steps:
    """One connection's life. Every method raises Unreachable at the deadline, or psycopg2.Error."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._connection: Any = None
        self.reached = False

    def connect(self, conninfo: Mapping[str, str]) -> None:
        self._connection = psycopg2.connect(make_dsn(**conninfo), async_=1)
        self._wait()

    def run(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.execute(sql, values)
        self._wait()
        return list(cursor.fetchall())

    def commit(self) -> None:
        """A notice that comes with COMMIT is not an ok: no other than 01000 belongs there."""
        self._connection.notices.clear()
        cursor = self._connection.cursor()
        cursor.execute("COMMIT")
        self._wait()
        said = " ".join(text.strip() for text in self._connection.notices)
        if said or cursor.statusmessage != "COMMIT":
            raise Unreachable(f"COMMIT answered {cursor.statusmessage} {said}".strip())

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def _wait(self) -> None:
        while (state := self._connection.poll()) != psycopg2.extensions.POLL_OK:
            events = select.POLLIN if state == psycopg2.extensions.POLL_READ else select.POLLOUT
            left = self._deadline - time.monotonic()
            poller = select.poll()  # a new one each time: while connecting, libpq changes its socket
            handle = self._connection.fileno()
            poller.register(handle, events)
            ready = left > 0 and bool(poller.poll(left * 1000))
            self.reached = self.reached or _connected(handle)
            if not ready:
                raise Unreachable("no answer in time")


def _connected(handle: int) -> bool:
    """Whether TCP's handshake is done on libpq's socket."""
    try:
        with socket.socket(fileno=os.dup(handle)) as sock:
            sock.getpeername()
    except OSError:
        return False
    return True


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
