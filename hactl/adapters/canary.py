"""Does the disk under the data still take a write? Leases never ask it, so a stalled one would hide."""

from __future__ import annotations

import os
import time
from pathlib import Path

from hactl.errors import Unreachable

SIZE = 4096


class FsyncCanary:
    """`folder` is on the file system of the data. A stalled disk holds the caller: give it its own thread."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "canary"

    def write(self) -> float:
        """Write 4 KiB and have the disk confirm them; seconds it took. Raises Unreachable: an error."""
        start = time.monotonic()
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(handle, os.urandom(SIZE), 0)
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise Unreachable(f"{self._path.parent}: {error.strerror or error}") from error
        return time.monotonic() - start
