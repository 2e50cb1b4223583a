"""A server that hangs as a whole, for as long as a block runs."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator

from tests.support.servers import Daemon


@contextlib.contextmanager
def frozen(*daemons: Daemon) -> Iterator[None]:
    """SIGSTOP for each with all its children, SIGCONT at the end."""
    try:
        for daemon in daemons:
            assert daemon.process is not None
            os.killpg(daemon.process.pid, signal.SIGSTOP)
        yield
    finally:
        for daemon in daemons:
            if daemon.process is not None:
                os.killpg(daemon.process.pid, signal.SIGCONT)
