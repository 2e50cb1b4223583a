"""One commit through the database VIP by a new connection, as a client makes it, within a fine deadline."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import psycopg2

from hactl.adapters.postgres_steps import Steps, first_line
from hactl.errors import Unreachable

# Warnings must arrive: 01000 says that a commit is not where it should be.
_OPTIONS = "-c client_min_messages=notice -c application_name=hactl-heartbeat"
_BEAT = """
BEGIN; INSERT INTO heartbeat (id, at, by) VALUES (%s, clock_timestamp(), %s)
ON CONFLICT (id) DO UPDATE SET at = excluded.at, by = excluded.by
RETURNING coalesce(nullif(current_setting('hactl.node', true), ''), '?')"""


class NoBeat(Unreachable):
    """`reached`: a TCP connection to the address was made, so somebody holds it."""

    def __init__(self, message: str, *, reached: bool) -> None:
        super().__init__(message)
        self.reached = reached


@dataclass(frozen=True)
class Beat:
    """`node` took the commit, `took` seconds after the connection was begun."""

    node: str
    took: float


class VipHeartbeat:
    """`row` keeps controllers apart: each has its own and waits for no other. `by` is for readers."""

    def __init__(self, conninfo: Mapping[str, str], *, row: int, by: str) -> None:
        self._conninfo, self._row, self._by = {"options": _OPTIONS, **conninfo}, row, by

    def beat(self, within: float) -> Beat:
        """Raises NoBeat: nothing was committed, or not where it should be, or not in time."""
        began = time.monotonic()
        step = Steps(began + within)
        try:
            step.connect(self._conninfo)
            node = str(step.run(_BEAT, (self._row, self._by))[0][0])
            step.commit()
        except (Unreachable, psycopg2.Error) as error:
            raise NoBeat(first_line(error), reached=step.reached) from error
        finally:
            step.close()
        return Beat(node, time.monotonic() - began)
