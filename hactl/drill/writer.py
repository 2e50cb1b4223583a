"""A client that writes row after row, and one row's writing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2

from hactl.drill.history import History, Outcome, Server, Write
from hactl.drill.link import Conninfo, Link, first_line
from hactl.errors import Unreachable

# A connection within so many seconds, from wherever the client is.
Opened = Callable[[float], Link]

INSERT = "BEGIN; INSERT INTO drill_row (run, client, seq) VALUES (%s, %s, %s)"


@dataclass(frozen=True)
class Target:
    """What is written to: `run` keeps the rows of several drills apart."""

    conninfo: Conninfo
    run: str


@dataclass(frozen=True)
class Attempt:
    """The row to write and where its outcome goes."""

    target: Target
    history: History
    client: str
    seq: int
    fresh: bool
    within: float
    inside: str = ""

    def write(self, link: Link, server: Server, begin: float) -> bool:
        """Writes the row and records what is known of it; False when the connection is of no more use."""
        sent: float | None = None
        try:
            link.run(INSERT, (self.target.run, self.client, self.seq), within=self.within)
            sent = time.monotonic()
            warning = link.commit(within=self.within)
        except (Unreachable, psycopg2.Error) as error:
            self.record(begin, sent, server, why=first_line(error))
            return False
        self.record(begin, sent, server, why=warning, ok=not warning)
        return not warning

    def record(
        self, begin: float, sent: float | None, server: Server | None, *, why: str, ok: bool = False
    ) -> None:
        outcome = Outcome.OK if ok else Outcome.FAIL if sent is None else Outcome.INFO
        end = time.monotonic()
        self.history.add(
            Write(self.client, self.seq, begin, sent, end, outcome, server, self.fresh, why, self.inside)
        )


def connected(opened: Opened, connect: float, within: float) -> tuple[Link, Server]:
    """And who answers. Raises Unreachable or psycopg2.Error."""
    link = opened(connect)
    try:
        return link, link.who(within=within)
    except (Unreachable, psycopg2.Error):
        link.close()
        raise


@dataclass(frozen=True)
class Writer:
    """`every`: seconds from one row to the next, at least. `fresh`: each by a connection of its own.

    `inside`: the node on which this client runs, if it does on one.
    """

    name: str
    target: Target
    history: History
    opened: Opened
    every: float
    within: float
    fresh: bool = False
    inside: str = ""

    def run(self, stop: threading.Event) -> None:
        seq, held = 0, None
        while not stop.is_set():
            begin = time.monotonic()
            seq += 1
            attempt = Attempt(self.target, self.history, self.name, seq, self.fresh, self.within, self.inside)
            try:
                held = held or connected(self.opened, self.within, self.within)
            except (Unreachable, psycopg2.Error) as error:
                attempt.record(begin, None, None, why=first_line(error))
            if held and (not attempt.write(*held, begin) or self.fresh):
                held[0].close()
                held = None
            stop.wait(max(0.0, begin + self.every - time.monotonic()))
        if held:
            held[0].close()
