"""The lab's cables: namespaces, two bridges in a namespace of their own, a veth pair a cable.

Nothing of it touches this machine's own network: every interface is created inside the lab's namespaces, and
none has a default route. A machine's namespace is made anew at each power-on: it forgets its addresses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from hactl.adapters.command import run
from hactl.lab import netns
from hactl.lab.topology import LAN_BRIDGE, MANAGEMENT_BRIDGE, Cable, Machine, Topology


def mac(netns_name: str, device: str) -> str:
    """A machine keeps its hardware address over a power cycle: neighbours' caches must stay right."""
    digest = hashlib.sha256(f"{netns_name}/{device}".encode()).hexdigest()
    return "02:" + ":".join(digest[i : i + 2] for i in range(0, 10, 2))


def bridge_lines() -> list[str]:
    """Make the switch. No spanning tree, no snooping: it forwards at once and everything.

    Each bridge has a hardware address of its own. The kernel's default, the lowest of its ports', changes
    when that port is unplugged, and then every neighbour known there is forgotten, a permanent one too.
    """
    lines = ["link set lo up"]
    for bridge in (LAN_BRIDGE, MANAGEMENT_BRIDGE):
        lines.append(f"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        lines.append(f"link set {bridge} address {mac('switch', bridge)}")
        lines.append(f"link set {bridge} up")
    return lines


def veth_line(cable: Cable, switch: str) -> str:
    """Makes the pair with each end where it belongs; neither ever exists in this machine's own namespace."""
    address = mac(cable.netns, cable.device)
    peer = f"peer name {cable.device} address {address} netns {cable.netns}"
    return f"link add name {cable.port} netns {switch} type veth {peer}"


def device_lines(cables: Iterable[Cable]) -> list[str]:
    """`ip` commands inside a namespace that give its devices their addresses."""
    lines = ["link set lo up"]
    for cable in cables:
        lines.append(f"addr replace {cable.address}/{cable.prefix} brd + dev {cable.device}")
        lines.append(f"link set {cable.device} up")
    return lines


def reset_text(cables: Iterable[Cable]) -> str:
    """Input for `ip -batch` that takes all other addresses away, virtual ones and their routes."""
    cables = tuple(cables)
    flush = [f"addr flush dev {c.device} scope global" for c in cables]
    return "".join(f"{line}\n" for line in [*flush, *device_lines(cables)])


def plug_lines(cables: Iterable[Cable]) -> list[str]:
    return [f"link set {c.port} master {c.bridge} up" for c in cables]


def unplug_lines(cables: Iterable[Cable]) -> list[str]:
    """The port leaves its bridge but stays up: the machine sees a link that goes nowhere, the harder case."""
    return [f"link set {c.port} nomaster" for c in cables]


def ensure_fixed(topology: Topology) -> None:
    """The switch, the operator's namespace and the BMCs', and their cables: make what is missing."""
    if _ensure_namespace(topology.switch_netns):
        _ip(bridge_lines(), inside=topology.switch_netns)
    elif not {LAN_BRIDGE, MANAGEMENT_BRIDGE} <= set(_links(topology.switch_netns)):
        _ip(bridge_lines(), inside=topology.switch_netns, force=True)
    by_netns: dict[str, list[Cable]] = {}
    for cable in topology.fixed_cables:
        by_netns.setdefault(cable.netns, []).append(cable)
    for name, cables in by_netns.items():
        _ensure_namespace(name)
        _ensure_cables(topology.switch_netns, name, cables)


def create(machine: Machine, switch: str) -> None:
    """A new namespace for a machine about to boot, plugged in. What an earlier try left is removed."""
    destroy(machine, switch)
    _ensure_namespace(machine.netns)
    _ensure_cables(switch, machine.netns, machine.cables)


def destroy(machine: Machine, switch: str) -> None:
    """The machine's cables and its namespace go away. Nothing answers for its addresses any more."""
    if netns.alive(switch):
        present = _links(switch)
        _ip([f"link del {c.port}" for c in machine.cables if c.port in present], inside=switch)
    remove_namespace(machine.netns)


def unplug(machine: Machine, switch: str) -> None:
    _ip(unplug_lines(machine.cables), inside=switch)


def plug(machine: Machine, switch: str) -> None:
    _ip(plug_lines(machine.cables), inside=switch)


def unplugged(machine: Machine, switch: str) -> bool:
    """Whether the machine's LAN port is on no bridge. A machine without a port is off, not unplugged."""
    found = _links(switch).get(machine.cables[0].port)
    return found is not None and "master" not in found


def ports(switch: str) -> dict[str, bool]:
    """The switch's ports, and whether each is on a bridge. Empty when there is no switch."""
    return {name: "master" in link for name, link in _links(switch).items()} if netns.alive(switch) else {}


def remove_namespace(name: str) -> None:
    """Also one that `ip netns add` was killed in the middle of: a file that nothing is mounted on."""
    if netns.exists(name):
        run(["ip", "netns", "delete", name], within=10, check=netns.alive(name))
    (netns.RUN / name).unlink(missing_ok=True)


def _ensure_namespace(name: str) -> bool:
    """Returns whether it was made now."""
    if netns.alive(name):
        return False
    remove_namespace(name)
    run(["ip", "netns", "add", name], within=10)
    return True


def _ensure_cables(switch: str, inside: str, cables: Iterable[Cable]) -> None:
    cables = tuple(cables)
    at_switch, in_netns = set(_links(switch)), set(_links(inside))
    missing = [c for c in cables if c.port not in at_switch or c.device not in in_netns]
    _ip([f"link del {c.port}" for c in missing if c.port in at_switch], inside=switch)
    _ip([veth_line(c, switch) for c in missing])
    _ip(device_lines(cables), inside=inside)
    _ip(plug_lines(cables), inside=switch)


def _links(name: str) -> dict[str, dict[str, object]]:
    found = json.loads(run(["ip", "-n", name, "-j", "link", "show"], within=10).out or "[]")
    return {link["ifname"]: link for link in found}


def _ip(lines: Iterable[str], *, inside: str | None = None, force: bool = False) -> None:
    """One `ip` process for all lines; with `force` it goes on after those that fail (made already)."""
    text = "".join(f"{line}\n" for line in lines)
    if text:
        where = ["-n", inside] if inside else []
        run(
            ["ip", *where, *(["-force"] if force else []), "-batch", "-"],
            within=20,
            stdin=text,
            check=not force,
        )
