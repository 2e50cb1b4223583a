"""An incident: what was lost, and when each phase of bringing it back was reached. In etcd while open."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class Phase(enum.StrEnum):
    """In this order; `withdrawn` may follow any of them up to `primed`."""

    SUSPECTED = "suspected"
    INTENT = "intent"
    PROOF = "proof"
    PRIMED = "primed"
    RELEASED = "released"
    PROMOTED = "promoted"
    VIP_UP = "vip-up"
    FIRST_COMMIT = "first-commit"
    POWERED_ON = "powered-on"  # only of a victim that hactl itself had switched off
    REDUNDANT = "redundancy-restored"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Stamp:
    """When `node` reached a phase. `mono_ms`: on the monotonic clock of `by`, the controller that saw it.

    `by` is empty where that is `node` itself. The wall clock is for readers, and for what two clocks saw.
    """

    phase: Phase
    node: str
    mono_ms: int
    wall: str
    evidence: str = ""
    by: str = ""

    @property
    def clock(self) -> str:
        return self.by or self.node


@dataclass(frozen=True)
class Incident:
    """`victim` was primary, `standby` takes over. `automatic` is false when an operator asked for it."""

    id: str
    kind: str
    victim: str
    standby: str
    epoch: int
    automatic: bool = True
    stamps: tuple[Stamp, ...] = ()
    outcome: str = ""
    details: Mapping[str, object] = field(default_factory=dict)

    @property
    def switched_off(self) -> bool:
        """Its fence agent read `on` before `off`: nobody but hactl switched the victim off."""
        return self.details.get("switched_off") is True

    @property
    def power_tries(self) -> int:
        """How often it was to be switched on again, by whichever controller."""
        tries = self.details.get("power_tries")
        return tries if isinstance(tries, int) else 0

    def reached(self, phase: Phase) -> Stamp | None:
        return next((s for s in self.stamps if s.phase is phase), None)


def elapsed(incident: Incident, phase: Phase) -> float | None:
    """Seconds from the incident's first stamp to this phase; None when it was not reached, or not tellable.

    Between stamps of one node by its monotonic clock; after a takeover by the nodes' wall clocks, which NTP
    keeps together: never below zero.
    """
    end = incident.reached(phase)
    if end is None:
        return None
    start = incident.stamps[0]
    if start.clock == end.clock and end.mono_ms >= start.mono_ms:  # less: it was booted in between
        return (end.mono_ms - start.mono_ms) / 1000
    try:
        took = dt.datetime.fromisoformat(end.wall) - dt.datetime.fromisoformat(start.wall)
    except (ValueError, TypeError):
        return None
    return max(0.0, took.total_seconds())
