"""What hactl asks of the world, as Protocols. Adapters answer with real servers, tests/fakes from memory.

Every method may raise Unreachable (or a class below it): nobody answered, not in time, or not what was asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath as File
from typing import Protocol

from hactl.errors import Unreachable
from hactl.view.archive_kind import ABLE, Abilities, Program
from hactl.view.archive_levels import Answer, Route
from hactl.view.control import Dcs
from hactl.view.kv import Compare, Get, LeaseTime, Op, RangeReply, RangesReply, TxnReply
from hactl.view.model import (
    CertView,
    EtcdAlarm,
    EtcdMember,
    EtcdStatus,
    NodeFacts,
    PatroniCluster,
    PatroniSelf,
    Probe,
    Unknown,
)
from hactl.view.preflight import NodePreflight, ServerLook


class Silent(Unreachable):
    """No connection could be made: nothing at this address answers at all."""


class PortClosed(Unreachable):
    """The address answers, but nothing listens on this port."""


class Untrusted(Unreachable):
    """Somebody answers, but one side does not believe the other's certificate: nothing else is known."""


class NotBelieved(Untrusted):
    """The other side refuses our certificate. Nothing was heard by it."""


class MaybeDone(Unreachable):
    """A change was sent and no answer came: it may have been made, or may still be. Look before acting on."""


class NoSuchLease(Unreachable):
    """etcd does not know this lease (any more). Nothing was changed."""


class NoSpace(Unreachable):
    """etcd has used up its quota: nothing was changed. It still reads, deletes and keeps leases alive."""


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes


class Http(Protocol):
    """One HTTPS request. Any status is a reply; only its absence is an error."""

    def send(
        self,
        method: str,
        url: str,
        *,
        within: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply: ...


class Clock(Protocol):
    def wall(self) -> float:
        """Unix time in seconds."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""


class Host(Protocol):
    def reachable(self) -> Probe:
        """Ok: its SSH server greets."""


class Patroni(Protocol):
    def itself(self) -> PatroniSelf: ...

    def cluster(self) -> PatroniCluster: ...

    def config(self) -> Mapping[str, object]: ...


class Etcd(Protocol):
    """One endpoint of etcd."""

    def status(self) -> EtcdStatus: ...

    def members(self) -> tuple[EtcdMember, ...]: ...

    def keys(self) -> Dcs:
        """All of Patroni's and hactl's keys in one linearizable read: it needs a quorum."""


class EtcdKv(Protocol):
    """etcd as a whole, through whichever endpoint answers. Thread-safe. `within`: seconds for the whole call.

    What changes nothing is asked of one endpoint after the other. A change that may have been made raises
    MaybeDone and is not sent again, except where `again` says that doing it twice does no harm: a transaction
    whose comparisons fail when it was done before, or whose puts may be repeated. Then `succeeded` may be
    false although the first try succeeded: let the second branch read what tells.
    """

    def range(
        self, key: str, *, within: float, prefix: bool = False, serializable: bool = False
    ) -> RangeReply:
        """Linearizable, thus by a quorum; `serializable`: what the endpoint has, perhaps old."""

    def ranges(self, gets: Sequence[Get], *, within: float) -> RangesReply:
        """All of them at one revision, linearizable."""

    def txn(
        self,
        compares: Sequence[Compare],
        then: Sequence[Op],
        otherwise: Sequence[Op] = (),
        *,
        within: float,
        again: bool = False,
    ) -> TxnReply:
        """Raises MaybeDone, NoSuchLease (a put with a lease that is gone), Unreachable."""

    def grant(self, ttl: int, *, within: float) -> int:
        """A new lease of `ttl` seconds; etcd raises what is below its minimum (2 s here).

        A grant whose answer is lost leaves a lease without keys, which ends by itself: it is asked for again.
        """

    def keepalive(self, lease: int, *, within: float) -> int:
        """The seconds it lives from now on. Raises NoSuchLease when it has ended."""

    def time_left(self, lease: int, *, within: float) -> LeaseTime:
        """Raises NoSuchLease when it has ended."""

    def revoke(self, lease: int, *, within: float) -> None:
        """End a lease, with its keys. One that is gone is no error."""

    def watch(self, prefixes: Sequence[str], on_change: Callable[[], None], stop: threading.Event) -> None:
        """Call `on_change` when something below `prefixes` may have changed, until `stop` (within 1 s).

        Only a hint: calls may come for nothing, late, or not at all. Blocks, so it has a thread of its own;
        connects again by itself; raises nothing.
        """

    def status(self, endpoint: str, *, within: float) -> EtcdStatus:
        """What the member on this node says of itself."""

    def members(self, *, within: float) -> tuple[EtcdMember, ...]: ...

    def move_leader(self, to_member_id: str, *, within: float) -> None:
        """Hand leadership to this member. Raises Unreachable: no leader, or it did not go there."""


class EtcdCare(Protocol):
    """What keeps etcd's members in shape. Each raises Unreachable, within its time."""

    def range(
        self, key: str, *, within: float, prefix: bool = False, serializable: bool = False
    ) -> RangeReply: ...

    def status(self, endpoint: str, *, within: float) -> EtcdStatus: ...

    def move_leader(self, to_member_id: str, *, within: float) -> None: ...

    def compact(self, revision: int, *, within: float) -> None: ...

    def defragment(self, endpoint: str, *, within: float) -> None: ...

    def alarms(self, *, within: float) -> tuple[EtcdAlarm, ...]: ...

    def disarm(self, alarm: EtcdAlarm, *, within: float) -> None: ...


class Journal(Protocol):
    """What the active controller does, written down where it cannot be lost. Thread-safe.

    Every call ends soon (its writer has a deadline) and raises Unreachable when nothing was written, Refused
    when another controller is active now. Without an intent nothing may be done.
    """

    def intent(
        self, action: str, *, incident: str = "", epoch: int = 0, data: Mapping[str, object] | None = None
    ) -> int:
        """What is about to be done; the number to give with its result."""

    def result(self, seq: int, *, ok: bool, data: Mapping[str, object] | None = None) -> None:
        """What became of intent `seq`."""

    def event(
        self, action: str, *, incident: str = "", epoch: int = 0, data: Mapping[str, object] | None = None
    ) -> int:
        """What was seen or reached, without an act of ours."""


class Archive(Protocol):
    """One archive node. A probe's `unknown` means that it could not be asked, not that it is down."""

    def listens(self) -> Probe:
        """L0: its ports accept connections."""

    def answers(self) -> Probe:
        """L1: it has a thread left for an answer that needs no index."""

    def index(self) -> Probe:
        """L2: it reads from its index."""

    def version(self) -> str: ...


@dataclass(frozen=True)
class Question:
    """Something that an archive node is asked again and again. `ask` ends within the time it is given.

    For one thread at a time, together with all others of its line (see ArchiveLines).
    """

    route: Route
    within: float
    ask: Callable[[float], Answer]


@dataclass(frozen=True)
class ArchiveLines:
    """Of one node. An answer that is ok to one question of a line speaks for all that follow it there.

    `close` ends the connections that are kept; nobody may be asking then.
    """

    lines: tuple[tuple[Question, ...], ...]
    close: Callable[[], None]


class ProvesStorage(Protocol):
    def prove(self) -> str:
        """What of the storage was read and found to be as the index knows it.

        Raises:
            StepFailed: it is not the storage that belongs to the index.
            Unreachable: the archive, or its index, does not answer.

        """


@dataclass(frozen=True)
class Reach:
    """How a DICOM application calls an archive. `ca`: who signed its certificates, None: the cluster's own.

    `tls`: DICOM over TLS. `dicomweb`: the base address of DICOMweb, empty: it has none.
    """

    host: str
    port: int
    aet: str
    tls: bool
    dicomweb: str = ""
    ca: File | None = None


class ArchiveKind(Protocol):
    """A kind of archive software: everything that is special to it (docs/archive-kinds.md).

    Made for one spec; `name` is one of its archives. Start, stop and drain are `abilities` and `program`:
    root's acts, keepalived and the packet filter do them for any kind that lies on nodes of hactl's own.
    """

    abilities: Abilities
    program: Program | None

    def once(self, name: str) -> Archive:
        """Its health levels for whoever looks once, each asked in a thread of its own."""

    def again(self, name: str) -> ArchiveLines:
        """Its health levels for whoever asks again and again."""

    def reach(self, name: str) -> Reach:
        """How the end-to-end check (L4) calls it."""

    def storage(self) -> ProvesStorage | None:
        """On the archive's own node: storage against index; None: nobody can look at them."""


class Vip(Protocol):
    address: str

    def holder(self) -> str | None:
        """The node that answers at the address; None: nobody."""


@dataclass(frozen=True)
class NodeLook:
    """One node, asked thoroughly. `server`: of a database node; `files`: those that are not as rendered.

    None: it was not asked for.
    """

    facts: NodeFacts | Unknown
    preflight: NodePreflight | Unknown
    server: ServerLook | Unknown | None = None
    files: tuple[str, ...] | Unknown | None = None


class Examined(Protocol):
    def look(self) -> NodeLook:
        """All of it by one login; what could not be had is Unknown. Raises Unreachable: no login."""


class Certificates(Protocol):
    def certificates(self) -> tuple[CertView, ...]: ...


@dataclass(frozen=True)
class Ports:
    """Everything that one gathering asks, by node name. `can`: of the archives.

    For the doctor are `config` (ask for the dynamic configuration), `examined` and `certificates`.
    """

    clock: Clock
    nodes: Mapping[str, Host]
    patroni: Mapping[str, Patroni]
    etcd: Mapping[str, Etcd]
    archives: Mapping[str, Archive]
    vips: Mapping[str, Vip]
    config: bool = False
    examined: Mapping[str, Examined] = field(default_factory=dict)
    certificates: Certificates | None = None
    can: Abilities = ABLE
