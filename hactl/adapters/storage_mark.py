"""Is the image storage the right one, and on the disk where it was? Reading a dead mount may hang."""

from __future__ import annotations

from pathlib import Path

from hactl import layout
from hactl.errors import Unreachable
from hactl.view.model import Probe, State


class StorageMark:
    def __init__(self, storage: Path, cluster: str) -> None:
        self._storage, self._cluster = storage, cluster

    def look(self) -> Probe:
        """Raises Unreachable: it cannot be looked at."""
        marker = self._storage / layout.STORAGE_MARKER
        try:
            with marker.open("rb") as file:
                found = file.read(65).decode(errors="replace").strip()
            device = self._storage.stat().st_dev
        except FileNotFoundError:
            return Probe(State.FAILED, f"{marker} is not there: not mounted?")
        except OSError as error:
            raise Unreachable(f"{marker}: {error.strerror or error}") from error
        if found != self._cluster:
            return Probe(State.FAILED, f"{marker} belongs to another installation")
        return Probe(State.OK, f"device {device >> 8}:{device & 0xFF}")
