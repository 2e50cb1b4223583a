"""Our end of the socket to the supervisor of a program: while it is open, the program may run."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hactl.deploy import supervisor

GONE_WITHIN = supervisor.GIVE_UP + 2  # seconds


@contextmanager
def supervised(folder: Path) -> Iterator[list[str]]:
    """What to put before the words of one command. When this is left, nothing that it started runs any more.

    Also when this process is killed: then the kernel closes the socket. Its path, below `folder`, may have
    107 characters at most.
    """
    place = folder / "lifeline"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(1)
        listener.setblocking(False)
        try:
            yield [sys.executable, "-I", "-S", supervisor.__file__, str(place)]
        finally:
            _end(listener)


def _end(listener: socket.socket) -> None:
    """Close the lifeline, and wait until the supervisor has closed its end: it does so when it ends."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        return  # nothing was started; a supervisor that comes later finds nobody here, and starts nothing
    with connection, suppress(TimeoutError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(GONE_WITHIN)
        connection.recv(1)
