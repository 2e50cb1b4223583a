"""The drills there are: which fault on which role, and what must be true of it. Pure.

Limits are bounds for a busy machine; docs/benchmarks.md has what is measured on a quiet one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

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


@dataclass(frozen=True)
class Scenario:
    """`limit`: longest outage of the database, seconds. `failovers`: how often the primary may move.

    `acts`: what hactl may do about it, "{node}" the struck one and "{other}" the other database node.
    `hold`: seconds the fault lasts at least. `images`: a modality stores images meanwhile.
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

    @property
    def name(self) -> str:
        return f"{self.role}/{self.fault}"

    def asked(self, node: str, other: str) -> Asked:
        acts = tuple(a.format(node=node, other=other) for a in (*ALWAYS, *self.acts))
        return Asked(self.limit, self.limit, self.failovers, acts, MUST)


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
GUARD: Final = ("drain-archive {node}", "undrain-archive {node}", *CARE)

_P, _S, _W, _A = Role.PRIMARY, Role.STANDBY, Role.WITNESS, Role.ARCHIVE
ONE: Final = (1, 1)
MAYBE: Final = (0, 1)

SCENARIOS: Final = (
    Scenario(_P, "power-off", "its host loses power: the standby takes over", 10, ONE, TAKEOVER, images=True),
    Scenario(_P, "isolate", "its host is cut off: the standby takes over", 10, ONE, TAKEOVER),
    Scenario(_P, "freeze", "its host hangs: it is fenced, the standby takes over", 10, ONE, TAKEOVER),
    Scenario(_P, "crash-postgres", "PostgreSQL is killed: restart or takeover", 15, MAYBE, TAKEOVER),
    Scenario(_P, "freeze-postgres", "PostgreSQL hangs: the standby takes over", 14, ONE, TAKEOVER),
    Scenario(_P, "stall-disk", "its data disk takes nothing more: the standby takes over", 14, ONE, TAKEOVER),
    Scenario(_P, "kill-patroni", "Patroni is killed, PostgreSQL lives: no takeover", 6, acts=CARE),
    Scenario(_P, "kill-keepalived", "the virtual IP's keeper is killed: no takeover", 6, acts=CARE),
    Scenario(_P, "kill-agent", "hactl's agent is killed: systemd restarts it, no takeover", 6),
    Scenario(_P, "kill-etcd", "its etcd member is killed: nothing moves", 6),
    Scenario(_S, "power-off", "its host loses power: the primary goes on alone", 12, acts=COPY),
    Scenario(_S, "isolate", "its host is cut off: the primary goes on alone", 12, acts=COPY),
    Scenario(_S, "crash-postgres", "PostgreSQL is killed: it comes back by itself", 12, acts=COPY),
    Scenario(_S, "kill-patroni", "Patroni is killed: it comes back by itself", 6, acts=CARE),
    Scenario(_W, "power-off", "its host loses power: nothing moves", 3),
    Scenario(_W, "isolate", "its host is cut off: nothing moves", 3),
    Scenario(_W, "kill-controller", "a controller is killed: another goes on", 3),
    Scenario(_A, "power-off", "its host loses power: another serves", 3, acts=GUARD, images=True),
    Scenario(_A, "kill-orthanc", "Orthanc is killed: it is back in seconds", 3, acts=GUARD, images=True),
    Scenario(_A, "freeze-orthanc", "Orthanc hangs: another serves", 3, acts=GUARD, hold=20, images=True),
    Scenario(_A, "unmount-storage", "its storage is gone: another serves", 3, acts=GUARD, images=True),
)  # fmt: skip


def find(patterns: Sequence[str]) -> tuple[Scenario, ...]:
    """In the table's order. A pattern is `role/fault`, with * and ?; a fault alone means its first role.

    Raises UsageError: a pattern fits none.
    """
    chosen: set[str] = set()
    for pattern in patterns:
        names = [s.name for s in SCENARIOS if fnmatchcase(s.name, pattern)]
        names = names or [s.name for s in SCENARIOS if s.fault == pattern][:1]
        if not names:
            raise UsageError(f"no scenario {pattern!r}", hint="hactl drill list")
        chosen |= set(names)
    return tuple(s for s in SCENARIOS if s.name in chosen)


def others(databases: Sequence[str], node: str) -> str:
    """The other database node; of a node that is none, the first."""
    return next((n for n in databases if n != node), "")


def struck(role: Role, status: Mapping[str, object], primary: str, databases: Sequence[str]) -> str:
    """The node that a fault on this role strikes now; empty when there is none."""
    if role is Role.PRIMARY:
        return primary
    if role is Role.STANDBY:
        return others(databases, primary)
    if role is Role.WITNESS:
        nodes = status.get("nodes")
        found = [n["name"] for n in nodes if "witness" in n["roles"]] if isinstance(nodes, list) else []
        return str(found[0]) if found else ""
    archive = status.get("archive")
    vip = archive.get("vip") if isinstance(archive, dict) else None
    return str(vip.get("holder") or "") if isinstance(vip, dict) else ""
