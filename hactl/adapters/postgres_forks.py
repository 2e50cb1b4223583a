"""Does this node's postmaster still fork for a new connection? By its own socket: no network, TLS, nor role.

The kernel takes connections for a process that is stopped; an answer needs the postmaster to accept and to
fork, and the child to run. A frozen one answers none, a starved one answers late: so those that wait are
kept, and an answer to any of them counts.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time
from typing import Final

from hactl.adapters.postgres_answer import ANSWERS, REQUEST
from hactl.errors import Unreachable

KEPT: Final = 8  # connections that wait at once; the oldest makes way for a new one


class NewConnections:
    """For one thread. `path`: the server's socket."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._waiting: dict[int, socket.socket] = {}

    def answered(self, *, within: float) -> bool:
        """Make one more connection; whether the server answers any of those that wait, in time.

        Raises:
            Unreachable: that cannot be looked at: there is no such socket, or it is not for us.

        """
        end = time.monotonic() + within
        self._connect()
        while self._waiting:  # none: nobody listens, or the kernel's queue is full
            left = end - time.monotonic()
            if self._poll(max(0.0, left)):
                self.close()
                return True
            if left <= 0:
                break
        return False

    def close(self) -> None:
        for sock in self._waiting.values():
            sock.close()
        self._waiting.clear()

    def _connect(self) -> None:
        if len(self._waiting) >= KEPT:
            self._drop(next(iter(self._waiting)))
        try:
            sock = self._asked()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            self.close()
            raise Unreachable(f"{self._path}: {error.strerror or error}") from error
        self._waiting[sock.fileno()] = sock

    def _asked(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.connect(self._path)
            sock.send(REQUEST)
        except OSError:
            sock.close()
            raise
        return sock

    def _poll(self, seconds: float) -> bool:
        poller = select.poll()
        for handle in self._waiting:
            poller.register(handle, select.POLLIN)
        found = False
        for handle, _ in poller.poll(seconds * 1000):
            said = b""
            with contextlib.suppress(OSError):
                said = self._waiting[handle].recv(1)
            found = found or said in ANSWERS
            self._drop(handle)
        return found

    def _drop(self, handle: int) -> None:
        self._waiting.pop(handle).close()
