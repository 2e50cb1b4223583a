"""The image storage as one node's kernel has it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StorageSeen:
    """`marker`: what the marker file says; None: it cannot be read, and `why` says what happened."""

    marker: str | None
    device: int = 0
    mounted: bool = False
    why: str = ""
