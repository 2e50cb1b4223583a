"""Which database nodes say that they are writable, asked every 250 ms over connections of their own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection

import psycopg2

from hactl.drill.history import Claim, History, Server
from hactl.drill.link import Link, first_line
from hactl.errors import Unreachable

# Opens a connection to a node's own PostgreSQL within so many seconds, not through a VIP.
Direct = Callable[[str, float], Link]

EVERY = 0.25  # seconds: two nodes writable for less than this may not be seen
WITHIN = 1.0  # seconds for one question, connecting included


class Asked:
    """One node, and the connection to it while it lives."""

    def __init__(self, node: str, direct: Direct) -> None:
        self._node = node
        self._direct = direct
        self._link: Link | None = None

    def ask(self) -> Claim:
        """What the node says now; no answer is unknown, never "no"."""
        begin = time.monotonic()
        try:
            server = self._writer(begin + WITHIN)
        except (Unreachable, OSError, psycopg2.Error) as error:
            self.close()
            why = error.message if isinstance(error, Unreachable) else first_line(error)
            return Claim(self._node, begin, time.monotonic(), None, why=why)
        return Claim(self._node, begin, time.monotonic(), server is not None, server)

    def _writer(self, deadline: float) -> Server | None:
        if self._link is None:
            self._link = self._direct(self._node, deadline - time.monotonic())
        return self._link.writer(within=deadline - time.monotonic())

    def close(self) -> None:
        if self._link:
            self._link.close()
        self._link = None


class WriteWatch:
    """Asks until it is stopped, each node in a thread of its own: one that hangs delays no other."""

    def __init__(self, nodes: Collection[str], direct: Direct, history: History) -> None:
        self._history = history
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=[Asked(node, direct)], daemon=True) for node in nodes
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        deadline = time.monotonic() + 10 * WITHIN
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            raise Unreachable("the watch of the writable nodes did not end in time")

    def _run(self, asked: Asked) -> None:
        while not self._stop.is_set():
            claim = asked.ask()
            self._history.add(claim)
            self._stop.wait(max(0.0, claim.begin + EVERY - time.monotonic()))
        asked.close()
