"""A switchover for a later time: the active controller does it then, or says why not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scheduled:
    """`at`: Unix time. `target`: the new primary; empty: the standby. `id` makes each order another."""

    id: str
    at: float
    target: str
    by: str
    reason: str
