"""Locks on folders: two `lab up` at once would step on each other, and two power switches of one machine."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hactl.errors import LockHeld


@contextmanager
def held(folder: Path, what: str, wait: float = 0) -> Iterator[None]:
    """Hold the lock on `folder` (which is made) inside the block. The kernel frees it when we die.

    Raises:
        LockHeld: another holds it, still after `wait` seconds. `what` names the thing in the message.

    """
    end = time.monotonic() + wait
    while True:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            if _take(handle, folder):
                yield
                return
        finally:
            os.close(handle)
        if time.monotonic() >= end:
            raise LockHeld(f"another hactl is at work on {what}", hint="wait for it, then try again")
        time.sleep(0.05)


def _take(handle: int, folder: Path) -> bool:
    """Whether we have it now. A folder that was removed and made anew in between is another folder."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(handle), folder.stat())
    return False
