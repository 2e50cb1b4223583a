"""What is known of an archive node beyond its levels: its state, who keeps it out, what its agent sees."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.view.model import Probe, State, Unknown

# The steps of an end-to-end check, in their order; each one's seconds are in EndToEnd.took.
STEPS: Final = ("store", "find", "retrieve", "wado", "qido", "delete")
GIVEN_UP: Final = "given up"  # a rung: every other one was tried in vain
NOT_RUN: Final = Unknown("no end-to-end check has run yet")
_NOT_LOOKED: Final = Probe(State.UNKNOWN, "not looked yet")


class ArchiveState(enum.StrEnum):
    """`draining`: it takes nothing new, what it has begun may end. `drained`: it is out of the archive VIP.

    `degraded`: it may serve, but a level has just failed, or could not be looked at. `failed`: it cannot.
    """

    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DRAINING = "draining"
    DRAINED = "drained"
    FAILED = "failed"


class DrainBy(enum.StrEnum):
    """Who keeps a node out. What `ladder` has drained, the controller lets in again; nobody else's drain."""

    OPERATOR = "operator"
    GUARD = "guard"
    LADDER = "ladder"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class Drain:
    """The order to stay out of the archive VIP: it stands as long as its key. `since`: ISO time, for readers.

    `force`: also if no other node can take over. `within`: seconds that open associations may take to end;
    None: the agent's usual ones.
    """

    node: str
    by: DrainBy
    why: str
    since: str = ""
    force: bool = False
    within: float | None = None


@dataclass(frozen=True)
class EndToEnd:
    """One end-to-end check. `took`: seconds by STEPS, of those that were reached. `at`: CLOCK_BOOTTIME.

    `leftovers`: objects of earlier checks that had been left behind and were removed.
    """

    ok: bool
    at: float
    took: Mapping[str, float] = field(default_factory=dict)
    why: str = ""
    leftovers: int = 0


@dataclass(frozen=True)
class ArchiveFacts:
    """What the agent of an archive node sees there; the storage's identity is AgentFacts.storage.

    `room`: free space and inodes suffice; `write`: 4 KiB are written, synced and read. `refusing`: new
    connections are held off; `out`: keepalived is told to stay out of the VIP. `associations`: open ones,
    None: not known. `out_for`: why, if it is the agent's own doing (the storage guard).
    """

    room: Probe = _NOT_LOOKED
    write: Probe = _NOT_LOOKED
    refusing: bool = False
    out: bool = False
    out_for: str = ""
    associations: int | None = None
    last_check: EndToEnd | Unknown = NOT_RUN


@dataclass(frozen=True)
class ArchiveMark:
    """What the active controller last decided of a node, kept in etcd so that the next one goes on.

    `rung`: the last one tried on the ladder, empty: none. `since`: ISO time, for readers.
    """

    state: ArchiveState
    why: str = ""
    rung: str = ""
    since: str = ""
