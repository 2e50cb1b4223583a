"""What was observed. Three values everywhere: "could not look" is never "no"."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hactl.units import Bytes, Lsn
from hactl.view.archive_kind import ABLE, Abilities


@dataclass(frozen=True)
class Unknown:
    """Nobody answered, or not in time, or not what was asked. `why` is a sentence for users.

    `untrusted`: somebody does answer, but certificates do not match.
    """

    why: str
    untrusted: bool = False


NOT_ASKED = Unknown("not asked for")


class State(enum.StrEnum):
    OK = "ok"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Probe:
    """A question with the answers ok, failed and unknown; `why` says what was seen."""

    state: State
    why: str = ""

    @property
    def ok(self) -> bool:
        return self.state is State.OK

    @property
    def failed(self) -> bool:
        return self.state is State.FAILED


class DbRole(enum.StrEnum):
    PRIMARY = "primary"
    STANDBY = "standby"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PatroniSelf:
    """What one Patroni says of its own instance (GET /patroni).

    `lsn` is written (primary) or the further of received and replayed (standby). `streams_to` are the
    standbys that stream from it. `state` is Patroni's word: running, starting, stopped, ... `replayed_at`:
    when (Unix time, the primary's clock) the last commit was made that a standby has replayed. Not
    `identified`: Patroni finds no system identifier in the data folder, as it does wherever data are whole.
    `started`: when the postmaster began; only good for telling one from the next. `made`: when the database
    was initialised (Unix time), which every copy of it keeps.
    """

    name: str
    role: DbRole
    state: str
    timeline: int | None = None
    lsn: Lsn | None = None
    sync: bool = False
    replication_state: str = ""
    streams_to: tuple[str, ...] = ()
    paused: bool = False
    pending_restart: bool = False
    replayed_at: float | None = None
    patroni_version: str = ""
    server_version: int | None = None
    identified: bool = True
    started: str = ""
    made: float | None = None

    @property
    def serves_writes(self) -> bool:
        return self.role is DbRole.PRIMARY and self.state == "running"


@dataclass(frozen=True)
class ClusterMember:
    """A member as etcd knows it (GET /cluster): may be stale by Patroni's TTL."""

    name: str
    role: DbRole
    state: str
    leader: bool = False
    sync: bool = False
    timeline: int | None = None
    lag: Bytes | None = None


@dataclass(frozen=True)
class PatroniCluster:
    members: tuple[ClusterMember, ...]
    paused: bool = False


@dataclass(frozen=True)
class PatroniView:
    """One database node on itself, on all members, and the dynamic configuration (the doctor asks for it)."""

    itself: PatroniSelf | Unknown
    cluster: PatroniCluster | Unknown
    config: Mapping[str, object] | Unknown = Unknown("not asked for")


@dataclass(frozen=True)
class EtcdStatus:
    """One member's own answer. Ids are decimal strings; `leader_id` is empty when it knows no leader.

    `db_size` is the file's, which counts for the quota; `db_used` what a defragmentation would leave of it.
    """

    member_id: str
    leader_id: str
    version: str = ""
    db_size: Bytes = field(default_factory=lambda: Bytes(0))
    db_used: Bytes = field(default_factory=lambda: Bytes(0))
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class EtcdAlarm:
    """Raised by one member, for all: `kind` is NOSPACE or CORRUPT."""

    member_id: str
    kind: str


@dataclass(frozen=True)
class EtcdMember:
    member_id: str
    name: str
    learner: bool = False


LEVELS = ("L0", "L1", "L2", "L3", "L4")


@dataclass(frozen=True)
class ArchiveView:
    """An archive node's levels: L0 ports, L1 protocol, L2 index, L3 storage, L4 end to end."""

    levels: Mapping[str, Probe]
    version: str | Unknown = Unknown("not asked for")
    can: Abilities = ABLE

    def level(self, name: str) -> Probe:
        return self.levels.get(name, Probe(State.UNKNOWN, "not asked for"))


@dataclass(frozen=True)
class VipView:
    """Who answers at a virtual IP; None: nobody, no connection can be made."""

    address: str
    holder: str | Unknown | None


@dataclass(frozen=True)
class Disk:
    path: str
    free: Bytes
    total: Bytes

    @property
    def free_ratio(self) -> float:
        return self.free.value / self.total.value if self.total.value else 0.0


@dataclass(frozen=True)
class NodeFacts:
    """What a node's dispatcher says. `clock_offset` is the node's clock minus ours, in seconds.

    `clock_doubt`: give or take so much; how long the answer took says how exactly it is known.
    `synchronized`: the node says that something keeps its clock right.
    """

    addresses: tuple[str, ...]
    units: Mapping[str, str]
    disks: tuple[Disk, ...] = ()
    clock_offset: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    boot_id: str = ""
    synchronized: bool | None = None
    clock_doubt: float = 0.0


class CertState(enum.StrEnum):
    OK = "ok"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    UNFIT = "unfit"  # missing, broken, or not what the spec asks for


@dataclass(frozen=True)
class CertView:
    """A certificate on file. `why` says what is wrong with it."""

    node: str
    use: str
    state: CertState
    why: str = ""
