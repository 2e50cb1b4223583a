"""What hactl asks of the world, as Protocols. Adapters answer with real servers, tests/fakes from memory.

Every method may raise Unreachable (or a class below it): nobody answered, not in time, or not what was asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from hactl.errors import Unreachable
from hactl.view.model import (
    CertView,
    DcsKeys,
    EtcdMember,
    EtcdStatus,
    NodeFacts,
    PatroniCluster,
    PatroniSelf,
    Probe,
)


class Silent(Unreachable):
    """No connection could be made: nothing at this address answers at all."""


class PortClosed(Unreachable):
    """The address answers, but nothing listens on this port."""


class Untrusted(Unreachable):
    """Somebody answers, but one side does not believe the other's certificate: nothing else is known."""


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

    def keys(self) -> DcsKeys:
        """A linearizable read: it needs a quorum."""


class Archive(Protocol):
    """One archive node. A probe's `unknown` means that it could not be asked, not that it is down."""

    def listens(self) -> Probe:
        """L0: its ports accept connections."""

    def answers(self) -> Probe:
        """L1: Orthanc has a thread left for /tools/now."""

    def index(self) -> Probe:
        """L2: Orthanc reads from the database."""

    def version(self) -> str: ...


class Vip(Protocol):
    address: str

    def holder(self) -> str | None:
        """The node that answers at the address; None: nobody."""


class Facts(Protocol):
    def facts(self) -> NodeFacts: ...


class Certificates(Protocol):
    def certificates(self) -> tuple[CertView, ...]: ...


@dataclass(frozen=True)
class Ports:
    """Everything that one gathering asks, by node name.

    `config`, `facts` and `certificates` are for the doctor; `config`: ask for the dynamic configuration.
    """

    clock: Clock
    nodes: Mapping[str, Host]
    patroni: Mapping[str, Patroni]
    etcd: Mapping[str, Etcd]
    archives: Mapping[str, Archive]
    vips: Mapping[str, Vip]
    config: bool = False
    facts: Mapping[str, Facts] = field(default_factory=dict)
    certificates: Certificates | None = None
