"""Who may reach what: the addresses that pg_hba.conf, nftables and Patroni's allow-list share. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, collapse_addresses

from hactl.spec.model import ClusterSpec, Node


def addresses(nodes: dict[str, Node]) -> list[str]:
    return [str(node.address) for node in nodes.values()]


def host(node: Node) -> str:
    return f"{node.address}/32"


def hosts(nodes: dict[str, Node]) -> list[str]:
    return [host(node) for node in nodes.values()]


def networks(*many: Iterable[IPv4Network]) -> list[str]:
    """Without overlaps: nftables refuses them in a set, and they say nothing."""
    return [str(net) for net in collapse_addresses([net for nets in many for net in nets])]


def clients(spec: ClusterSpec) -> list[str]:
    """Who may use the virtual IPs; nobody named means everybody in the virtual IPs' own networks."""
    named = spec.access.clients or tuple(v.address.network for v in spec.vips.by_name.values())
    return networks(named)


def modalities(spec: ClusterSpec) -> list[str]:
    """Who is on the archive's own allow-list, wherever its address is."""
    return networks(IPv4Network(m.address) for m in spec.archive.modalities.values())


def operators(spec: ClusterSpec) -> list[str]:
    return networks(spec.access.operators)
