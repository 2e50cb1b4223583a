"""Which node has to reach which port of which other one: the doctor has each node try its own. Pure.

The packet filter (base.py) lets through what is listed here, and more: operators and clients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hactl import layout
from hactl.spec.model import ClusterSpec, Node


@dataclass(frozen=True)
class Target:
    """`to`: a node, or the name of a virtual IP with `vip`. `what`: who listens there."""

    to: str
    address: str
    port: int
    what: str
    vip: bool = False


def targets(spec: ClusterSpec, node: str) -> tuple[Target, ...]:
    """What `node` needs of the others, by its roles."""
    return tuple(_of(spec, node))


def _of(spec: ClusterSpec, node: str) -> Iterator[Target]:
    # Patroni, agents and controllers ask whichever member answers; the archives' agents too.
    yield from _each(spec.voters, node, layout.PORT_ETCD_CLIENT, "etcd")
    yield from _each(spec.databases, node, layout.PORT_PATRONI, "Patroni")
    yield _vip(spec, "database", layout.PORT_POSTGRES, "PostgreSQL")
    if node not in spec.voters:
        return
    yield from _each(spec.voters, node, layout.PORT_ETCD_PEER, "etcd's peers")
    # Replication, and the eyes of the others on a primary that may be lost.
    yield from _each(spec.databases, node, layout.PORT_POSTGRES, "PostgreSQL")
    # Every voter may have the active controller, which asks the archives.
    yield from _each(spec.archives, node, layout.PORT_HTTPS, "nginx")
    yield from _each(spec.archives, node, layout.PORT_DICOM_TLS, "DICOM")
    if node in spec.witnesses:
        yield from _each(spec.voters, node, layout.PORT_METRICS, "a controller's metrics")


def _each(nodes: Mapping[str, Node], but: str, port: int, what: str) -> Iterator[Target]:
    return (Target(name, str(n.address), port, what) for name, n in nodes.items() if name != but)


def _vip(spec: ClusterSpec, name: str, port: int, what: str) -> Target:
    return Target(name, str(spec.vips.by_name[name].address.ip), port, what, vip=True)
