"""The small files of an archive node's agent: keepalived reads one, the others survive the agent."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from hactl.adapters.agent_notes import MAY, MAY_NOT
from hactl.adapters.small_files import read_file, replace_file
from hactl.errors import StepFailed


class ArchiveNotes:
    """`run`: /run/hactl, until the next boot; `state`: /var/lib/hactl. Writers raise StepFailed."""

    def __init__(self, run: Path, state: Path) -> None:
        self._track, self._stopped = run / "archive-track", run / "archive-stopped"
        self._drain, self._known = state / "archive-drain", state / "archive-storage"

    def track(self, *, out: bool) -> None:
        replace_file(self._track, MAY_NOT if out else MAY)

    def out(self) -> bool:
        return (read_file(self._track) or MAY).strip() == MAY_NOT.strip()

    def note_drain(self, text: str) -> None:
        """What the key in etcd says; empty: there is none. It holds while etcd is silent."""
        _kept(self._drain, json.dumps(json.loads(text)) if text else "")  # these files are ASCII

    def drain(self) -> str:
        return read_file(self._drain) or ""

    def note_stopped(self, *, stopped: bool) -> None:
        """Orthanc was stopped by us: what others have stopped is not ours to start."""
        _kept(self._stopped, "\n" if stopped else "")

    def stopped(self) -> bool:
        return self._stopped.exists()

    def note_known(self, text: str) -> None:
        replace_file(self._known, text)

    def known(self) -> str | None:
        return read_file(self._known)


def _kept(path: Path, text: str) -> None:
    if text:
        replace_file(path, text)
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
    except OSError as error:
        raise StepFailed(f"cannot remove {path}: {error.strerror or error}") from error
