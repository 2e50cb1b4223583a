"""Addresses: no two alike, and each virtual IP in the network of those that may hold it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from hactl.errors import Problem
from hactl.spec.facts import Facts
from hactl.spec.model import Role
from hactl.spec.shown import dotted

_HOLDERS = {"database": Role.DATABASE, "archive": Role.ARCHIVE}
_NAMED = 8  # nodes in one sentence


def different_nodes(facts: Facts) -> Iterator[Problem]:
    """No two nodes have the same address."""
    first: dict[IPv4Address, str] = {}
    for name, node in facts.nodes.items():
        if node.address is None:
            continue
        other = first.setdefault(node.address, name)
        if other != name:
            path = dotted(("nodes", name, "address"))
            yield Problem(path, str(node.address), f"{other} has this address already")


def vip_is_free(facts: Facts) -> Iterator[Problem]:
    """A virtual IP is no node's own address."""
    nodes = {node.address: name for name, node in facts.nodes.items()}
    for name, vip in facts.vips.items():
        if vip.address and (owner := nodes.get(vip.address.ip)):
            yield Problem(
                f"vips.{name}.address",
                str(vip.address),
                f"this is the own address of {owner}",
                "a virtual IP is an address that no machine has",
            )


def vip_in_its_network(facts: Facts) -> Iterator[Problem]:
    """A virtual IP's prefix length is that of a network with nodes; it is not its first or last address."""
    for name, vip in facts.vips.items():
        if vip.address is None:
            continue
        network, path = vip.address.network, f"vips.{name}.address"
        if network.prefixlen >= 31 or network.prefixlen < 8:
            reason = f"a prefix length of {network.prefixlen} leaves no network for the nodes"
            hint = f"write the one of the nodes' network, for example {vip.address.ip}/24"
            yield Problem(path, str(vip.address), reason, hint)
        elif what := _special(vip.address.ip, network):
            yield Problem(path, str(vip.address), f"this is the {what} of {network}")


def holders_in_the_network(facts: Facts) -> Iterator[Problem]:
    """The nodes that may hold a virtual IP have their own addresses in its network."""
    for name, vip in facts.vips.items():
        if vip.address is None or not 8 <= vip.address.network.prefixlen < 31:
            continue
        network = vip.address.network
        holders = {node: facts.nodes[node].address for node in facts.having(_HOLDERS[name])}
        outside = [node for node, address in holders.items() if address and address not in network]
        if outside and len(outside) == len(holders):
            named = ", ".join(outside[:_NAMED]) + (", ..." if len(outside) > _NAMED else "")
            reason = f"none of the nodes that may hold it ({named}) is in its network {network}"
            yield Problem(
                f"vips.{name}.address", str(vip.address), reason, "is it the right address and prefix length?"
            )
            continue
        for node, address in holders.items():
            path = dotted(("nodes", node, "address"))
            if node in outside:
                yield Problem(
                    path,
                    str(address),
                    f"is not in {network}, the network of the {name} virtual IP it may hold",
                )
            elif address and (what := _special(address, network)):
                yield Problem(path, str(address), f"this is the {what} of {network}")


def different_vips(facts: Facts) -> Iterator[Problem]:
    """The two virtual IPs have different addresses and different VRRP router ids."""
    if len(facts.vips) < 2:
        return
    database, archive = facts.vips["database"], facts.vips["archive"]
    if database.address and archive.address and database.address.ip == archive.address.ip:
        yield Problem(
            "vips.archive.address", str(archive.address), "the database virtual IP is the same address"
        )
    if database.router_id is not None and database.router_id == archive.router_id:
        reason = "the same VRRP router id as the database's; each would hear the other's messages"
        yield Problem(
            "vips.archive.router_id", str(archive.router_id), reason, "any other number from 1 to 255"
        )


def _special(address: IPv4Address, network: IPv4Network) -> str:
    if address == network.network_address:
        return "network address"
    return "broadcast address" if address == network.broadcast_address else ""
