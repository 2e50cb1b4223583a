"""What a server's port was offered, and what it made of it. Pure data."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Speaks(enum.StrEnum):
    """What is spoken on a port, after or before TLS."""

    DICOM = "dicom"
    ARCHIVE = "https"  # nginx before an archive: who shows no certificate needs a password
    POSTGRES = "postgres"  # asks first whether TLS is wanted
    PATRONI = "patroni"
    ETCD = "etcd"
    ETCD_PEER = "etcd-peer"
    METRICS = "metrics"


class Offer(enum.StrEnum):
    """One way to call. Those named after a version offer only that one, with a good certificate."""

    PLAIN = "plain"
    NO_CERTIFICATE = "no-certificate"
    FOREIGN_CA = "foreign-ca"
    EXPIRED = "expired"
    TLS_1_0 = "tls1.0"
    TLS_1_1 = "tls1.1"
    TLS_1_2 = "tls1.2"
    TLS_1_3 = "tls1.3"
    WRONG_CALLED = "wrong-called-aet"
    WRONG_CALLING = "wrong-calling-aet"


class Outcome(enum.StrEnum):
    """`served`: it answered what only who may call gets; `refused`: it said or showed that it will not.

    `unknown`: no connection, no answer in time, or this side cannot make the offer.
    """

    SERVED = "served"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Endpoint:
    """`name` is the node's, or the virtual IP's: `archive-vip`."""

    name: str
    speaks: Speaks
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.name} {self.speaks}"


@dataclass(frozen=True)
class Seen:
    """`detail`: what was seen; `tls`, `cipher`: what was agreed on; `certificate`: whose, until when.

    Not `reached`: not even a connection came about.
    """

    offer: Offer
    outcome: Outcome
    detail: str = ""
    tls: str = ""
    cipher: str = ""
    certificate: str = ""
    reached: bool = True


@dataclass(frozen=True)
class TlsCheck:
    """What the last daily check came to, as its key in etcd says. Times are Unix times.

    `weak` and `unproven` are sentences, a few of `weak_count` and `unproven_count`, each with the node's (or
    virtual IP's) name before the first blank. `oldest`: since when something has not been proven; `at` where
    all is. `seq`, `hash`: the last record of the evidence, which stands on `node`.
    """

    at: float
    node: str
    endpoints: int
    weak: tuple[str, ...] = ()
    weak_count: int = 0
    unproven: tuple[str, ...] = ()
    unproven_count: int = 0
    oldest: float = 0.0
    seq: int = 0
    hash: str = ""
