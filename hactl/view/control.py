"""What the control plane knows: keys in etcd, agents' reports, probes. Times are monotonic seconds."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.units import Lsn
from hactl.view.archive import ArchiveFacts, ArchiveMark, Drain
from hactl.view.drill import LastDrill
from hactl.view.integrity import IntegrityFacts
from hactl.view.model import DbRole, Disk, Probe, State, Unknown
from hactl.view.mute import Mute
from hactl.view.operation import Holder
from hactl.view.pause import Pause
from hactl.view.scheduled import Scheduled
from hactl.view.tls import TlsCheck


class Mode(enum.StrEnum):
    """How a database node is held back: `leased` by its fencing lease; `open`: hactl does not run there."""

    LEASED = "leased"
    OPEN = "open"


@dataclass(frozen=True)
class Key:
    """A key in etcd. `lease` is 0 when none is attached."""

    value: str
    mod_revision: int
    lease: int = 0


@dataclass(frozen=True)
class Leader:
    """Patroni's leader key: whose it is, and what makes this leadership different from any other."""

    node: str
    lease: int
    mod_revision: int


@dataclass(frozen=True)
class DcsMember:
    """What a member's Patroni last wrote of itself: at most its loop's time old while it lives."""

    name: str
    role: DbRole
    state: str
    replication_state: str = ""
    timeline: int | None = None
    lsn: Lsn | None = None


@dataclass(frozen=True)
class PatroniKeys:
    """Patroni's keys of one cluster. `sync_leader` and `sync_standbys` are /sync.

    `timeline`: the newest, as /history has it; `written`: where the primary was when it last wrote /status.
    Both outlive the primary, and are None where nothing readable is said.
    """

    leader: Leader | None = None
    sync_leader: str = ""
    sync_standbys: tuple[str, ...] = ()
    members: Mapping[str, DcsMember] = field(default_factory=dict)
    paused: bool = False
    timeline: int | None = None
    written: Lsn | None = None


@dataclass(frozen=True)
class FenceIntent:
    """The order to keep a node from serving: while it stands, no lease transaction of that node succeeds."""

    node: str
    epoch: int
    incident: str
    by: str
    leader: Leader
    reason: str = ""


@dataclass(frozen=True)
class Fenced:
    """The node's own agent says that its PostgreSQL is stopped, or in recovery, under this epoch."""

    node: str
    epoch: int
    postgres: str


@dataclass(frozen=True)
class Prime:
    """The order to `node` to refuse what it sends to a dead peer, so that nothing there waits for it."""

    node: str
    epoch: int
    reject: str


@dataclass(frozen=True)
class Order:
    """A local act that a node's agent shall do once. `done` holds the answer when there is one."""

    node: str
    id: str
    verb: str
    unit: str = ""


@dataclass(frozen=True)
class OrderDone:
    node: str
    id: str
    ok: bool
    said: str = ""


@dataclass(frozen=True)
class Maintenance:
    """Somebody works on a node: hactl leaves it alone for as long as the key stands; its lease ends it.

    `since`, `until`: ISO time, for readers. `stopped`: the node's services were stopped by hand.
    """

    node: str
    by: str
    why: str = ""
    since: str = ""
    until: str = ""
    stopped: bool = False


REFUSED: Final = "connection refused"


@dataclass(frozen=True)
class PeerLook:
    """How one node's PostgreSQL port looks from another node: consecutive misses of a look each 200 ms."""

    misses: int
    why: str = ""

    @property
    def refused(self) -> bool:
        """Its host lives: its kernel said that nothing listens there, and has closed what PostgreSQL left."""
        return self.why.endswith(REFUSED)


@dataclass(frozen=True)
class PostgresLocal:
    """The agent's own look over a connection that it keeps open. `writable`: not in recovery.

    `lost_slots`: replication slots whose WAL is gone (pg_replication_slots.wal_status is lost). `oldest`:
    where the oldest WAL begins that a primary still has; looked up only while nobody streams from it.
    `damaged`: databases of which a page failed its checksum since the statistics began
    (pg_stat_database.checksum_failures): as somebody read it, for PostgreSQL does not look by itself.
    """

    writable: bool | Unknown
    streaming_from: str = ""
    timeline: int | None = None
    lsn: Lsn | None = None
    lost_slots: tuple[str, ...] = ()
    oldest: Lsn | None = None
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewLocal:
    """New connections that the agent makes to its node's own PostgreSQL, one each half a second.

    `misses`: such looks in a row in which the server answered none of those that wait: it did not fork.
    `age`: seconds since it last answered one; None: it has not yet.
    """

    misses: int
    age: float | None = None


NOT_LOOKED = Unknown("not looked yet")
_NOT_LOOKED = Probe(State.UNKNOWN, NOT_LOOKED.why)


@dataclass(frozen=True)
class AgentFacts:
    """What a node's agent last published. `lease_left` in seconds; None: this node holds no lease.

    `forks`: whether the node's own PostgreSQL answers new connections; Unknown: that could not be looked at.
    `joining`: the program that Patroni runs to make this node a standby again; empty: none.
    `certificates`: by use, when those end (Unix time) that will soon. `spare`: why it shows its spare one.
    `archive`, `integrity`: of archive nodes only. `every`: seconds until its next report, if nothing happens.
    """

    node: str
    boot: str
    seq: int
    mode: Mode | None = None
    lease_left: float | None = None
    postgres: PostgresLocal | Unknown = NOT_LOOKED
    forks: NewLocal | Unknown = NOT_LOOKED
    patroni: Probe = _NOT_LOOKED
    keepalived: Probe = _NOT_LOOKED
    canary: Probe = _NOT_LOOKED
    storage: Probe = _NOT_LOOKED
    vips: tuple[str, ...] = ()
    peers: Mapping[str, PeerLook] = field(default_factory=dict)
    disks: tuple[Disk, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    boottime: float = 0.0
    thawed: int = 0
    ledger: Mapping[str, object] = field(default_factory=dict)
    joining: str = ""
    certificates: Mapping[str, int] = field(default_factory=dict)
    spare: str = ""
    archive: ArchiveFacts | None = None
    integrity: IntegrityFacts | None = None
    every: float = 1.0


@dataclass(frozen=True)
class Dcs:
    """One linearizable look at all keys. `alive` is kept raw: its revision is the point.

    `problems`: keys whose values could not be read, which therefore are missing here.

    `reconciled`: the timeline up to which image storage and index were compared; 0: never.

    `archives_known`: `drains`, `archive_states` and archive nodes' `facts` are whole and fresh. Of many nodes
    they are read beside the rest, page by page: each may be a few seconds old, and at first they are missing.

    `pause`: who wants hands off and why; whether is `paused`. `operation`: the command that is at work.

    `mode_revisions`: of the mode keys. Only a lease renewed after a node went to mode leased is the kernel's.
    """

    revision: int
    patroni: PatroniKeys = field(default_factory=PatroniKeys)
    alive: Mapping[str, Key] = field(default_factory=dict)
    modes: Mapping[str, Mode] = field(default_factory=dict)
    mode_revisions: Mapping[str, int] = field(default_factory=dict)
    fences: Mapping[str, FenceIntent] = field(default_factory=dict)
    fenced: Mapping[str, Fenced] = field(default_factory=dict)
    primes: Mapping[str, Prime] = field(default_factory=dict)
    primed: Mapping[str, int] = field(default_factory=dict)
    orders: Mapping[str, Order] = field(default_factory=dict)
    done: Mapping[str, OrderDone] = field(default_factory=dict)
    facts: Mapping[str, AgentFacts] = field(default_factory=dict)
    active: str | None = None
    standing_by: tuple[str, ...] = ()
    incident: str | None = None
    epoch: int = 0
    recent_failovers: int = 0
    budget: Mapping[tuple[str, str], int] = field(default_factory=dict)
    drains: Mapping[str, Drain] = field(default_factory=dict)
    maintenance: Mapping[str, Maintenance] = field(default_factory=dict)
    archive_states: Mapping[str, ArchiveMark] = field(default_factory=dict)
    reconciled: int = 0
    paused: bool = False
    pause: Pause | None = None
    mutes: tuple[Mute, ...] = ()
    operation: Holder | None = None
    scheduled: Scheduled | None = None
    tls_check: TlsCheck | None = None
    drill: LastDrill | None = None
    archives_known: bool = True
    problems: tuple[str, ...] = ()


class Path(enum.StrEnum):
    """The four independent ways to see whether a primary's host lives (design: three must fail)."""

    ALIVE_KEY = "alive-key"
    PATRONI = "patroni-rest"
    POSTGRES = "postgres-from-standby"
    ETCD_PEER = "etcd-peer"


@dataclass(frozen=True)
class PathState:
    """Consecutive misses on one path. `last_ok` is None when it has not answered this controller yet."""

    misses: int
    last_ok: float | None
    why: str = ""


class ProofKind(enum.StrEnum):
    """What proves that a node can no longer serve. An exit code alone is none of them."""

    POWER_OFF = "power-off"  # the fence agent's status, read after the intent, says off
    LEASE_EXPIRED = "lease-expired"
    SELF_FENCED = "self-fenced"


@dataclass(frozen=True)
class Proof:
    kind: ProofKind
    node: str
    epoch: int
    at: float
    evidence: str


@dataclass(frozen=True)
class FenceRun:
    """A fence agent at work for an epoch. `power`: what its status said last, `on`, `off` or unknown.

    `read`: when that status was asked for; None: no status yet. Without it nothing is proved. `was_on`: a
    status said `on` before one said `off`, so it is this run that switched the node off.
    """

    node: str
    epoch: int
    started: float
    power: str | Unknown
    ended: bool
    said: str = ""
    read: float | None = None
    was_on: bool | Unknown = NOT_LOOKED


@dataclass(frozen=True)
class Heartbeat:
    """Commits by new connections through the database VIP; `node` took the last good one at `last_ok`.

    `reached`: the last try that failed had at least a TCP connection; None: that is not known. `since`: the
    first of the good ones in a row that `node` took.
    """

    misses: int = 0
    last_ok: float | None = None
    node: str = ""
    took: float | None = None
    why: str = ""
    reached: bool | None = None
    since: float | None = None


@dataclass(frozen=True)
class ControlView:
    """Everything the fast loop knows at `now`. `dcs_at`: when the look at etcd was asked for.

    `grey`: primaries that answer on every path and yet do not serve, with the evidence (decide/grey.py).
    `power_ons`: fence agents that switch on again what was switched off.
    """

    me: str
    holding: bool
    dcs: Dcs | Unknown
    dcs_at: float
    paths: Mapping[str, Mapping[Path, PathState]] = field(default_factory=dict)
    fence_runs: Mapping[str, FenceRun] = field(default_factory=dict)
    power_ons: Mapping[str, FenceRun] = field(default_factory=dict)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    etcd_leader: str | Unknown = NOT_LOOKED
    grey: Mapping[str, str] = field(default_factory=dict)
