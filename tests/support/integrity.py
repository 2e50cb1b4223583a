"""A storage folder, an index in memory, and the real hand: what integrity works on, without servers."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import threading
import time
import uuid as uuids
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hactl import layout
from hactl.integrity.chain import Anchor
from hactl.integrity.fate import Fork
from hactl.integrity.hand import Hand
from hactl.integrity.index import Index
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.mend import Mender
from hactl.integrity.model import DICOM, Position, Row, place
from hactl.integrity.pace import Pace
from hactl.integrity.plan import Plan
from hactl.integrity.reports import Progress
from hactl.integrity.scrub import ScrubParts
from hactl.integrity.storage import Storage
from hactl.render import engine
from hactl.units import Lsn

CLUSTER = "demo"


class MemoryIndex(Index):
    """The rows as a dictionary; asks nobody."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.images: dict[str, str] = {}  # public id -> uuid
        self.last_deleted: list[str] = []
        self.at = Position(1, Lsn(100))

    def add(self, content: bytes, uuid: str = "", kind: int = DICOM) -> Row:
        name = uuid or str(uuids.uuid4())
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        row = Row(name, len(content), digest, len(self.rows) + 1, kind)
        self.rows[name] = row
        return row

    def position(self) -> Position:
        return self.at

    def newest(self) -> int:
        return max((r.resource for r in self.rows.values()), default=0)

    def after(self, resource: int, limit: int) -> list[Row]:
        found = sorted((r for r in self.rows.values() if r.resource > resource), key=lambda r: r.resource)
        return found[:limit]

    def of_resources(self, resources: Sequence[int]) -> list[Row]:
        return [r for r in self.rows.values() if r.resource in set(resources)]

    def having(self, uuids: Sequence[str]) -> dict[str, Row]:
        return {u: self.rows[u] for u in uuids if u in self.rows}

    def deleted(self) -> list[str]:
        return self.last_deleted

    def image(self, public_id: str) -> Row | None:
        return self.rows.get(self.images.get(public_id, ""))

    def every(self) -> Iterator[Row]:
        yield from sorted(self.rows.values(), key=lambda r: r.uuid)

    def close(self) -> None:
        pass


class MemoryAnchors:
    def __init__(self) -> None:
        self.heads: dict[str, Anchor] = {}

    def anchored(self) -> tuple[Anchor, ...]:
        return tuple(self.heads.values())

    def anchor(self, head: Anchor) -> None:
        self.heads[head.node] = head


@dataclass
class FixedForks:
    found: tuple[Fork, ...] = ()

    def forks(self) -> tuple[Fork, ...]:
        return self.found


def hand_script(folder: Path, storage: Path) -> Path:
    """The program as it is rendered, for a storage of this test."""
    text = engine.text(
        "integrity/hand.j2", header="", storage=str(storage), marker=layout.STORAGE_MARKER, cluster=CLUSTER
    )
    script = folder / "hand"
    script.write_text(text)
    script.chmod(0o755)
    return script


def real_hand(script: Path, account: dict[str, Any] | None = None) -> Hand:
    """Each connection has a process of its own, as with the socket unit. `account`: for Popen."""

    def connect() -> socket.socket:
        here, there = socket.socketpair()
        here.settimeout(20)
        with there:
            argv = ["/usr/bin/python3", "-I", str(script)]
            process = subprocess.Popen(argv, stdin=there, stdout=there, cwd="/", **(account or {}))
        threading.Thread(target=process.wait, daemon=True).start()
        return here

    return Hand(connect)


def unhurried() -> Pace:
    return Pace(0, 0, time.monotonic, lambda _: False, lambda: 0.0)


@dataclass
class Place:
    """One archive's storage and index, with hactl's own files beside."""

    folder: Path
    index: MemoryIndex = field(default_factory=MemoryIndex)

    def __post_init__(self) -> None:
        self.root = self.folder / "images"
        self.root.mkdir()
        (self.root / layout.STORAGE_MARKER).write_text(f"{CLUSTER}\n")
        self.storage = Storage(self.root, CLUSTER)
        self.manifest = Manifest(self.folder / "manifest.db", "arc1")
        self.marks = Marks(self.folder / "marks.db")
        self.hand = real_hand(hand_script(self.folder, self.root))
        self.saved: list[dict[str, object]] = []

    def path(self, uuid: str) -> Path:
        return self.root / place(uuid)

    def write(self, uuid: str, content: bytes, *, age: float = 3600.0) -> Path:
        path = self.path(uuid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        then = time.time() - age
        os.utime(path, (then, then))
        return path

    def image(self, content: bytes) -> Row:
        row = self.index.add(content)
        self.write(row.uuid, content)
        return row

    def images(self, count: int, size: int = 3000) -> list[Row]:
        return [self.image(os.urandom(size)) for _ in range(count)]

    def close(self) -> None:
        self.manifest.close()
        self.marks.close()

    def parts(self, **changed: object) -> ScrubParts:
        values: dict[str, object] = {
            "index": self.index, "storage": self.storage, "plan": Plan(self.folder / "plan.db"),
            "manifest": self.manifest, "marks": self.marks, "pace": unhurried(), "readers": 2,
            "save": self._save, "stopping": lambda: False,
        }  # fmt: skip
        return ScrubParts(**{**values, **changed})  # type: ignore[arg-type]

    def mender(self, *copies: Path) -> Mender:
        return Mender(self.storage, copies, self.hand)

    def _save(self, progress: Progress) -> None:
        self.saved.append(progress.plain())
