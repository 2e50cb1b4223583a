"""Which ports a cluster has, what each must refuse, and what a check of them proves. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hactl import layout
from hactl.spec.model import ClusterSpec
from hactl.view.tls import Endpoint, Offer, Outcome, Seen, Speaks

DICOM_OFFERS: Final = (Offer.WRONG_CALLED, Offer.WRONG_CALLING)
OFFERS: Final = tuple(o for o in Offer if o not in DICOM_OFFERS)
GOOD: Final = (Offer.TLS_1_2, Offer.TLS_1_3)


class Expected(enum.StrEnum):
    SERVED = "served"
    REFUSED = "refused"
    EITHER = "either"


class Verdict(enum.StrEnum):
    """`weak`: served what must be refused. `unproven`: nobody can say, at least not from here and now."""

    OK = "ok"
    WEAK = "weak"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Row:
    endpoint: Endpoint
    seen: Seen
    expected: Expected
    verdict: Verdict


def offers(speaks: Speaks) -> tuple[Offer, ...]:
    return (*OFFERS, *DICOM_OFFERS) if speaks is Speaks.DICOM else OFFERS


def expected(speaks: Speaks, offer: Offer) -> Expected:
    """The profile of PS3.15 after BCP 195 (RFC 8996, 9325): TLS 1.2, 1.3, nothing older, both sides known."""
    if offer in GOOD:
        return Expected.SERVED
    if speaks is Speaks.POSTGRES and offer is Offer.NO_CERTIFICATE:
        return Expected.EITHER  # applications prove themselves by SCRAM, bound to the TLS connection
    return Expected.REFUSED


def endpoints(spec: ClusterSpec, *, inside: bool) -> tuple[Endpoint, ...]:
    """Every port with TLS that nodes and clients use. `inside`: as seen from a voter.

    Elsewhere the packet filter lets nobody reach PostgreSQL but through the virtual IP, nor etcd's peers.
    """
    return tuple(_endpoints(spec, inside=inside))


def _endpoints(spec: ClusterSpec, *, inside: bool) -> Iterator[Endpoint]:
    archives = {n: str(node.address) for n, node in spec.archives.items()}
    vip = {} if spec.vips.archive is None else {"archive-vip": str(spec.vips.archive.address.ip)}
    for name, host in {**vip, **archives}.items():
        yield Endpoint(name, Speaks.DICOM, host, layout.PORT_DICOM_TLS)
        yield Endpoint(name, Speaks.ARCHIVE, host, layout.PORT_HTTPS)
    yield Endpoint("database-vip", Speaks.POSTGRES, str(spec.vips.database.address.ip), layout.PORT_POSTGRES)
    for name, node in spec.databases.items():
        if inside:
            yield Endpoint(name, Speaks.POSTGRES, str(node.address), layout.PORT_POSTGRES)
        yield Endpoint(name, Speaks.PATRONI, str(node.address), layout.PORT_PATRONI)
    for name, node in spec.voters.items():
        yield Endpoint(name, Speaks.ETCD, str(node.address), layout.PORT_ETCD_CLIENT)
        if inside:
            yield Endpoint(name, Speaks.ETCD_PEER, str(node.address), layout.PORT_ETCD_PEER)
        yield Endpoint(name, Speaks.METRICS, str(node.address), layout.PORT_METRICS)


_BROKEN: Final = (Expected.SERVED, Outcome.REFUSED)


def judge(endpoint: Endpoint, seen: Sequence[Seen]) -> tuple[Row, ...]:
    """A refusal proves something only beside a good offer that is served: who is down refuses everything."""
    alive = any(s.outcome is Outcome.SERVED for s in seen if s.offer in GOOD)
    return tuple(_row(endpoint, s, alive=alive) for s in seen)


def _row(endpoint: Endpoint, seen: Seen, *, alive: bool) -> Row:
    wanted = expected(endpoint.speaks, seen.offer)
    if wanted is Expected.REFUSED and seen.outcome is Outcome.SERVED:
        verdict = Verdict.WEAK
    elif seen.outcome is Outcome.UNKNOWN or not alive or (wanted, seen.outcome) == _BROKEN:
        verdict = Verdict.UNPROVEN
    else:
        verdict = Verdict.OK
    return Row(endpoint, seen, wanted, verdict)


def of_endpoint(rows: Sequence[Row]) -> Verdict:
    """The worst of its rows."""
    for verdict in (Verdict.WEAK, Verdict.UNPROVEN):
        if any(r.verdict is verdict for r in rows):
            return verdict
    return Verdict.OK


def by_endpoint(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row.endpoint), []).append(row)
    return found


def sentence(rows: Sequence[Row]) -> str:
    """Of one endpoint: what is not as it should be, or empty."""
    said = []
    for verdict, words in ((Verdict.WEAK, "serves"), (Verdict.UNPROVEN, "not proven:")):
        if chosen := [str(r.seen.offer) for r in rows if r.verdict is verdict]:
            said.append(f"{words} {', '.join(chosen)}")
    return "; ".join(said)
