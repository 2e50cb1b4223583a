"""Orthanc's pool of database connections after a failover: each dead one is found by whoever gets it.

Such a call is answered with 503 within milliseconds, and the connection is replaced; the next call gets the
next one of the pool. A node that few ask would so stay ill for as many questions as its pool has connections:
24 s at one question each 2 s, seen in the lab with 12 of them, and at the end stood a restart that nobody
needed. So who asks the index asks on, one question after the other, until a connection that lives answers:
then the pool is whole for everybody. A pool that hangs is something else: it answers nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from hactl.ports import Reply

MOST: Final = 16  # questions; hactl gives Orthanc 12 connections (render/orthanc.py)
AT_ONCE: Final = 0.25  # seconds; what takes longer is no dead connection
UNAVAILABLE: Final = 503


def past_the_dead(ask: Callable[[], Reply]) -> Reply:
    """The first answer that is none of a dead connection's; else the last. Raises what `ask` raises."""
    for _ in range(MOST - 1):
        begin = time.monotonic()
        reply = ask()
        if reply.status != UNAVAILABLE or time.monotonic() - begin > AT_ONCE:
            return reply
    return ask()
