"""The agent's small files in /run/hactl and /var/lib/hactl, for keepalived, its check and open-lease."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from pathlib import Path

from hactl.adapters.small_files import read_file, replace_file
from hactl.errors import LockHeld, StepFailed

MAY, MAY_NOT = "0\n", "-254\n"  # keepalived: nothing added to the priority; below -253: FAULT


class AgentNotes:
    """`run`: /run/hactl, `state`: /var/lib/hactl. Writers raise StepFailed."""

    def __init__(self, run: Path, state: Path) -> None:
        self._track, self._lease, self._ready = run / "track", run / "lease", run / "ready"
        self._handover = run / "handover"
        self._open = (state / "open", run / "open")  # the second where the disk took none
        self._fenced, self._lock = state / "fenced", run / "agent.lock"
        self._held: int | None = None

    def take(self, *, within: float) -> None:
        """Be the only agent, and keep open-lease from opening, until this process ends, however it ends.

        Raises:
            LockHeld: another one is there, or open-lease is at work for longer than `within`.

        """
        end = time.monotonic() + within
        self._held = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        while True:
            try:
                fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if time.monotonic() > end:
                    raise LockHeld(f"another agent holds {self._lock}") from error
                time.sleep(0.05)
            else:
                return

    def track(self, *, may_hold: bool) -> None:
        replace_file(self._track, MAY if may_hold else MAY_NOT)

    def tracked(self) -> bool:
        return (read_file(self._track) or MAY).strip() != MAY_NOT.strip()

    def word(self, until: float) -> None:
        replace_file(self._lease, f"{max(0.0, until):.2f}\n")

    def last_word(self) -> float:
        try:
            return float(read_file(self._lease) or 0)
        except ValueError:
            return 0.0

    def leaving(self, until: float) -> None:
        replace_file(self._handover, f"{until:.2f}\n")

    def opened(self) -> bool:
        return any(file.exists() for file in self._open)

    def forget_open(self) -> None:
        for file in self._open:
            _remove(file)

    def fenced(self) -> bool:
        return self._fenced.exists()

    def note_fenced(self, *, fenced: bool) -> None:
        if fenced:
            replace_file(self._fenced, "\n")
        else:
            _remove(self._fenced)

    def ready(self) -> None:
        _touch(self._ready)  # an empty file: it takes no room

    def not_ready(self) -> None:
        _remove(self._ready)


def _touch(path: Path) -> None:
    try:
        path.touch(0o644)
    except OSError as error:
        raise StepFailed(f"cannot write {path}: {error.strerror or error}") from error


def _remove(path: Path) -> None:
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    except OSError as error:
        raise StepFailed(f"cannot remove {path}: {error.strerror or error}") from error
