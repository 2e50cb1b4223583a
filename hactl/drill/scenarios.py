"""The drills there are: which fault on which role, and what must be true of it. Pure.

Limits are bounds for a busy machine; docs/benchmarks.md has what is measured on a quiet one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from hactl.decide.drill import FAULTS, SWITCHOVER
from hactl.drill.history import Asked
from hactl.errors import UsageError

PROVED: Final = ("I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10")
MUST: Final = ("I5", "I8", "I10")


class Role(enum.StrEnum):
    """Whom the fault strikes: the node that has the role, or the archive's virtual IP, when it begins."""

    PRIMARY = "primary"
    STANDBY = "standby"
    WITNESS = "witness"
    ARCHIVE = "archive"
    ETCD = "etcd"  # whose member of etcd leads
    CONTROLLER = "controller"  # whose controller is the active one


# Seconds. A modality whose node hangs waits for its own time-out of 10 s before it tries again.
IMAGES: Final = 12.0


@dataclass(frozen=True)
class Scenario:
    """`limit`: longest outage of the database, seconds. `failovers`: how often the primary may move.

    `acts`: what hactl may do about it, "{node}" the struck one and "{other}" the other database node.
    `word`: what the fault needs besides the node. `hold`: seconds the fault lasts at least. `images`: a
    modality stores images meanwhile. `besides`: faults on the same node, made just before, healed just after.
    `first`: what must be so on the node before the clients begin; undone when all is over.
    `sees`: a health code that `status` has to say about the node before it is healed.
    `images_limit`: longest time without an image that the archive took, seconds.
    `away`: there is no service before it is healed, and `limit` is from the fault on, the healing included.
    """

    role: Role
    fault: str
    says: str
    limit: float
    failovers: tuple[int, int] = (0, 0)
    acts: tuple[str, ...] = ()
    word: str = ""
    hold: float = 5.0
    images: bool = False
    besides: tuple[str, ...] = ()
    away: bool = False
    first: tuple[str, ...] = ()
    sees: str = ""
    images_limit: float = IMAGES

    @property
    def name(self) -> str:
        number = f"-{self.word}" if self.word.isdigit() else ""
        return f"{self.role}/{'+'.join((*self.besides, self.fault))}{number}"

    @property
    def faults(self) -> tuple[str, ...]:
        """In the order in which they are made."""
        return (*self.besides, self.fault)

    def asked(self, node: str, other: str, blind: tuple[str, ...] = ()) -> Asked:
        """`blind`: what cannot be looked at there; a promise that rests on it may be silent."""
        must = tuple(promise for promise in MUST if promise != "I10" or "clocks" not in blind)
        acts = tuple(a.format(node=node, other=other) for a in (*ALWAYS, *self.acts))
        images = self.images_limit if self.images and not self.away else None
        return Asked(self.limit, self.limit, self.failovers, acts, must, blind, images=images)


# Housekeeping that any fault may bring about, or the failover before it: etcd's leader and control away from
# the primary's host, storage and index compared after each new timeline.
ALWAYS: Final = ("move-etcd-leader", "yield-control", "give-order:reconcile")
# Fence, prove, prime, release; then whatever brings the lost node back.
TAKEOVER: Final = (
    "open-incident {node}", "run-fence-agent {node}", "prime-standby {other}", "release-leader {node}",
    "power-on {node}", "readmit {node}", "readmit {other}", "withdraw {node}", "close-incident",
    "give-order {node}", "reinitialize {node}",
)  # fmt: skip
CARE: Final = ("give-order {node}",)  # restart, rejoin: by the struck node's own agent
COPY: Final = (*CARE, "reinitialize {node}")
COPY_OTHER: Final = ("give-order {other}", "reinitialize {other}")
STALE: Final = (*COPY, *COPY_OTHER)
GUARD: Final = ("drain-archive {node}", "undrain-archive {node}", *CARE)

_P, _S, _W, _A = Role.PRIMARY, Role.STANDBY, Role.WITNESS, Role.ARCHIVE
_E, _C = Role.ETCD, Role.CONTROLLER
ONE: Final = (1, 1)
MAYBE: Final = (0, 1)
# Alone, without majority or with Patroni's own clock only: its TTL of 20 s, and what comes after it.
BY_TTL: Final = 35.0

SCENARIOS: Final = (
    Scenario(_P, "power-off", "its host loses power: the standby takes over", 10, ONE, TAKEOVER, images=True),
    Scenario(_P, "isolate", "its host is cut off: the standby takes over", 10, ONE, TAKEOVER, images=True),
    Scenario(_P, "freeze", "its host hangs: it is fenced, the standby takes over", 10, ONE, TAKEOVER),
    Scenario(_P, "power-off", "the same, and etcd's leader with it: an election more", 14, ONE, TAKEOVER,
             besides=("lead-etcd",)),
    Scenario(_P, "isolate", "cut off, its BMC hangs: the lease is the proof", 12, ONE, TAKEOVER,
             besides=("freeze-bmc",)),
    Scenario(_P, "isolate", "cut off, its BMC says yes and does nothing: the lease is the proof", 12, ONE,
             TAKEOVER, besides=("dud-bmc",)),
    Scenario(_P, "freeze", "hangs, and goes on 40 s later: nothing is served there", 12, ONE, TAKEOVER,
             besides=("freeze-bmc",), hold=40),
    Scenario(_P, "power-off", "the same, for 10 s nobody hears who has the address now", 30, ONE, TAKEOVER,
             besides=("lose-garp",), hold=10, away=True),
    Scenario(_P, "power-off", "the same, and pg_rewind fails when it is back: copied anew", 10, ONE, TAKEOVER,
             besides=("break-rewind",)),
    Scenario(_P, "deaf", "nothing reaches its host: the standby takes over", 12, ONE, TAKEOVER),
    Scenario(_P, "voiceless", "nothing its host sends arrives: the standby takes over", 12, ONE, TAKEOVER),
    Scenario(_P, "cut", "it and the standby are apart: it goes on alone", 12, acts=COPY_OTHER,
             word="{other}"),
    Scenario(_P, "cut-etcd", "it reaches no other etcd: the standby takes over", BY_TTL, ONE, TAKEOVER,
             hold=25),
    Scenario(_P, "loss", "one in twenty of its frames is lost: nothing moves", 8, acts=CARE,
             word="5", hold=15),
    Scenario(_P, "loss", "one in ten of its frames is lost: nothing moves", 8, acts=CARE, word="10", hold=15),
    Scenario(_P, "loss", "one in five is lost: at most one takeover", BY_TTL, MAYBE, TAKEOVER,
             word="20", hold=15),
    Scenario(_P, "loss", "one in three is lost: at most one takeover", BY_TTL, MAYBE, TAKEOVER, word="30",
             hold=15),
    Scenario(_P, "narrow", "its cables carry 256 kbit/s: at most one takeover", BY_TTL, MAYBE, TAKEOVER,
             word="256", hold=15),
    Scenario(_P, "lose-names", "no name resolves there: nothing moves", 3),
    Scenario(_P, "turn-clock", "its clock goes 5 minutes back, later forward: nothing moves", 6, acts=CARE,
             word="-300", hold=25, first=("own-clock",)),
    Scenario(_P, "crash-postgres", "PostgreSQL is killed: restart or takeover", 15, MAYBE, TAKEOVER),
    Scenario(_P, "bar-postgres", "PostgreSQL is killed and cannot start: takeover", 15, ONE, TAKEOVER),
    Scenario(_P, "freeze-postgres", "PostgreSQL hangs: the standby takes over", 14, ONE, TAKEOVER),
    Scenario(_P, "hang-postgres", "each process of PostgreSQL hangs: takeover", 14, ONE, TAKEOVER),
    Scenario(_P, "stall-disk", "its data disk takes nothing more: the standby takes over", 14, ONE, TAKEOVER),
    Scenario(_P, "fill-disk", "its data disk is full: at most one takeover", 20, MAYBE, TAKEOVER, hold=15),
    Scenario(_P, "damage-page", "a page of its data is damaged: an alarm, nothing moves", 6, hold=15,
             first=("own-page",), sees="PAGES_DAMAGED"),
    Scenario(_P, "kill-patroni", "Patroni is killed, PostgreSQL lives: no takeover", 6, acts=CARE),
    Scenario(_P, "lose-patroni", "the same, and systemd leaves it: restarted, or takeover", BY_TTL, MAYBE,
             TAKEOVER, hold=10),
    Scenario(_P, "freeze-patroni", "Patroni hangs: restarted, or takeover", BY_TTL, MAYBE, TAKEOVER, hold=10,
             images=True),
    Scenario(_P, "kill-keepalived", "the virtual IP's keeper is killed: no takeover", 6, acts=CARE),
    Scenario(_P, "lose-keepalived", "the same, and systemd leaves it: no second address", 12, MAYBE, TAKEOVER,
             hold=10),
    Scenario(_P, "freeze-keepalived", "it hangs: no second address", 12, MAYBE, TAKEOVER, hold=10),
    Scenario(_P, "kill-agent", "hactl's agent is killed: systemd restarts it, no takeover", 6),
    Scenario(_P, "freeze-agent", "it hangs: its watchdog ends it, no takeover", 10, acts=CARE, hold=10),
    Scenario(_P, "kill-etcd", "its etcd member is killed: nothing moves", 6),
    Scenario(_P, "freeze-quorum", "etcd hangs on all others: silent, and back with them", BY_TTL, MAYBE,
             CARE, hold=8, away=True),
    Scenario(_S, "power-off", "its host loses power: the primary goes on alone", 12, acts=COPY,
             sees="STANDBY_LOST"),
    Scenario(_S, "isolate", "its host is cut off: the primary goes on alone", 12, acts=COPY),
    Scenario(_S, "freeze", "its host hangs: the primary goes on alone", 12, acts=COPY),
    Scenario(_S, "make-stale", "back before the primary that went on without it: no promotion", 180,
             acts=STALE, hold=40, away=True),
    Scenario(_S, "crash-postgres", "PostgreSQL is killed: it comes back by itself", 12, acts=COPY),
    Scenario(_S, "freeze-postgres", "PostgreSQL hangs: the primary goes on", 12, acts=COPY),
    Scenario(_S, "hang-postgres", "each process of PostgreSQL hangs: the primary goes on", 12, acts=COPY),
    Scenario(_S, "damage-wal", "its newest WAL is rubbish: it is streamed or copied anew", 12, acts=COPY),
    Scenario(_S, "damage-control", "its control file is empty: it is copied anew", 12, acts=COPY),
    Scenario(_S, "damage-page", "a page of its data is damaged: an alarm, nothing moves", 12, acts=CARE,
             hold=15, first=("own-page",), sees="PAGES_DAMAGED"),
    Scenario(_S, "stall-disk", "its data disk takes nothing more: the primary goes on", 12, acts=COPY),
    Scenario(_S, "fill-disk", "its data disk is full: the primary goes on", 12, acts=COPY, hold=10),
    Scenario(_S, "turn-clock", "its clock goes 5 minutes back, later forward: nothing moves", 6, acts=CARE,
             word="-300", hold=25, first=("own-clock",)),
    Scenario(_S, "kill-patroni", "Patroni is killed: it comes back by itself", 6, acts=CARE),
    Scenario(_S, "freeze-patroni", "Patroni hangs: the primary goes on", 12, acts=COPY, hold=10),
    Scenario(_S, "kill-agent", "hactl's agent is killed: systemd restarts it", 6),
    Scenario(_W, "power-off", "its host loses power: nothing moves", 3, sees="NODE_UNREACHABLE"),
    Scenario(_W, "isolate", "its host is cut off: nothing moves", 3),
    Scenario(_W, "freeze", "its host hangs: nothing moves", 6),
    Scenario(_W, "kill-controller", "a controller is killed: another goes on", 3),
    Scenario(_E, "kill-etcd", "etcd's leader is killed: nothing moves", 6),
    Scenario(_E, "freeze-etcd", "etcd's leader hangs: another is elected, nothing else moves", 8, acts=CARE,
             hold=15),
    Scenario(_E, "stall-etcd-disk", "its leader's disk takes nothing more: another leads, nothing else moves",
             8, acts=CARE, hold=30),
    Scenario(_C, "kill-controller", "the active controller is killed: another goes on", 3),
    Scenario(_C, "freeze-controller", "it hangs: another goes on, never two at once", 3, acts=CARE, hold=15),
    Scenario(_A, "power-off", "its host loses power: another serves", 3, acts=GUARD, images=True),
    Scenario(_A, "isolate", "its host is cut off: another serves", 3, acts=GUARD, images=True),
    Scenario(_A, "freeze", "its host hangs: another serves", 3, acts=GUARD, images=True),
    Scenario(_A, "kill-orthanc", "Orthanc is killed: it is back in seconds", 3, acts=GUARD, images=True),
    Scenario(_A, "lose-orthanc", "the same, and systemd leaves it: another serves", 3, acts=GUARD, hold=10,
             images=True),
    Scenario(_A, "freeze-orthanc", "Orthanc hangs: another serves", 3, acts=GUARD, hold=20, images=True),
    Scenario(_A, "freeze-pool", "its connections to the database hang: restarted, or another serves", 3,
             acts=GUARD, hold=15, images=True, images_limit=25),
    Scenario(_A, "unmount-storage", "its storage is gone: another serves", 3, acts=GUARD, images=True),
    Scenario(_A, "swap-storage", "another disk is there: another serves", 3, acts=GUARD, images=True),
    Scenario(_A, "readonly-storage", "its storage takes nothing more: another serves", 3, acts=GUARD,
             images=True),
    Scenario(_A, "fill-storage", "the storage of all is full: refused, nothing lost", 3, acts=GUARD,
             images=True, away=True),
    Scenario(_A, "kill-keepalived", "the virtual IP's keeper is killed: it is back", 3, acts=GUARD,
             images=True),
    Scenario(_A, "freeze-keepalived", "it hangs: one address, one holder", 3, acts=GUARD, hold=10,
             images=True),
    Scenario(_A, "kill-agent", "hactl's agent is killed: systemd restarts it", 3, acts=GUARD, images=True),
)  # fmt: skip

# Nothing breaks: what is drilled is the way.
PLANNED: Final = (
    Scenario(_P, SWITCHOVER, "its role is given to the standby, as planned", 6, ONE, CARE),
)  # fmt: skip
ALL: Final = (*SCENARIOS, *PLANNED)


def for_real(scenario: Scenario) -> bool:
    """Whether it may be where people rely on the service, too."""
    return scenario.fault in FAULTS and not scenario.besides


def find(patterns: Sequence[str]) -> tuple[Scenario, ...]:
    """In the table's order. A pattern is `role/fault`, with * and ?; a fault alone means its first role.

    Raises UsageError: a pattern fits none.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        names = [s.name for s in ALL if fnmatchcase(s.name, pattern)]
        names = names or [s.name for s in ALL if s.fault == pattern][:1]
        if not names:
            raise UsageError(f"no scenario {pattern!r}", hint="hactl drill list")
        chosen |= set(names)
    return tuple(s for s in ALL if s.name in chosen)


def others(databases: Sequence[str], node: str) -> str:
    """The other database node; of a node that is none, the first."""
    return next((n for n in databases if n != node), "")


_NAMED: Final = {Role.ETCD: ("etcd", "leader"), Role.CONTROLLER: ("controller", "active")}


def struck(role: Role, status: Mapping[str, object], primary: str, databases: Sequence[str]) -> str:
    """The node that a fault on this role strikes now; empty when there is none."""
    if role is Role.PRIMARY:
        return primary
    if role is Role.STANDBY:
        return others(databases, primary)
    if role in _NAMED:
        found = status.get(_NAMED[role][0])
        return str(found.get(_NAMED[role][1]) or "") if isinstance(found, dict) else ""
    if role is Role.WITNESS:
        nodes = status.get("nodes")
        found = [n["name"] for n in nodes if "witness" in n["roles"]] if isinstance(nodes, list) else []
        return str(found[0]) if found else ""
    archive = status.get("archive")
    vip = archive.get("vip") if isinstance(archive, dict) else None
    return str(vip.get("holder") or "") if isinstance(vip, dict) else ""
