"""The end of a PostgreSQL of a test, which may have been killed before."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

_WITHIN = 10.0  # seconds


def end(data: Path) -> None:
    """At once. The kernel keeps a piece of shared memory of a server that was killed: that goes too."""
    file = data / "postmaster.pid"
    with contextlib.suppress(FileNotFoundError):
        pid = int(file.read_text().split("\n")[0])
        if _runs(pid, data):
            os.kill(pid, signal.SIGQUIT)
        deadline = time.monotonic() + _WITHIN
        while _runs(pid, data):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.02)
        _forget(file)


def _runs(pid: int, data: Path) -> bool:
    """Its number may be another process's by now."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink() == data
    except OSError:
        return False


def _forget(file: Path) -> None:
    """The seventh line has the key and the number of the shared memory; an orderly end removes the file."""
    lines = file.read_text().split("\n")
    if len(lines) > 6 and len(words := lines[6].split()) == 2:
        subprocess.run(
            ["/usr/bin/ipcrm", "--shmem-id", words[1]], capture_output=True, timeout=10, check=False
        )
