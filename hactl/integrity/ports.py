"""What follower and reconcile ask of etcd and of an archive node: small, so that tests can stand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hactl.integrity.chain import Anchor
from hactl.integrity.fate import Fork


class Anchors(Protocol):
    """What each node's manifest had come to, in etcd: where no archive node keeps its manifest."""

    def anchored(self) -> tuple[Anchor, ...]:
        """Raises Unreachable."""

    def anchor(self, head: Anchor) -> None:
        """Raises Unreachable."""


class Forks(Protocol):
    """Where the database's timelines ended, as Patroni wrote it down."""

    def forks(self) -> tuple[Fork, ...]:
        """Raises Unreachable."""


@dataclass(frozen=True)
class Ingested:
    """An archive's answer to an image. `new`: it had none with these identifiers."""

    public_id: str
    new: bool


class Door(Protocol):
    """The archive's own way in: it knows which image it has already, so nothing is stored twice."""

    def ingest(self, path: Path) -> Ingested:
        """Raises Refused: the archive takes no such file. Raises Unreachable: no proper answer."""


class Reconciled(Protocol):
    """Up to which timeline storage and index were compared, in etcd: the controller reads it."""

    def note(self, timeline: int, node: str, result: str) -> None:
        """Raises Unreachable."""


@dataclass(frozen=True)
class Story:
    """The database's timelines: the one of now, and where the earlier ones ended."""

    timeline: int
    forks: Sequence[Fork]
