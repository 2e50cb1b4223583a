"""The lab as data: which namespaces, interfaces, addresses and BMCs a spec asks for. Pure.

Two networks: the installation's LAN (that of the virtual IPs) and a management network for the BMCs. The
operator's place, `ops`, has a leg in both.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from hactl.errors import Refused
from hactl.spec.model import ClusterSpec, FenceAgent, Node, Role

# RFC 5737 TEST-NET-2: never routed, and never inside an installation's own network.
MANAGEMENT: Final = IPv4Network("198.51.100.0/24")
OPS_MANAGEMENT: Final = MANAGEMENT[2]
PORT_IPMI: Final = 623
BMC_USER: Final = "hactl"
LAN_BRIDGE: Final = "lan"
MANAGEMENT_BRIDGE: Final = "mgmt"
OPS_LAN: Final = "lan0"  # the operator's interface there
RESERVED: Final = frozenset({"ops", "switch", "image"})  # and bmc-*: names the lab needs for itself
MAX_NODE_NAME: Final = 12  # a port is named c-<node> and Linux allows 15 characters


@dataclass(frozen=True)
class Cable:
    """A veth pair: `port` in the switch, on `bridge`; `device` with `address` in the namespace `netns`."""

    port: str
    bridge: str
    netns: str
    device: str
    address: IPv4Address
    prefix: int


@dataclass(frozen=True)
class Bmc:
    """A machine's BMC: a computer of its own with its own cable, alive while the machine is off."""

    scope: str
    cable: Cable


@dataclass(frozen=True)
class Machine:
    """One node's machine. `bmc` is None when the spec names no fence agent for it that speaks IPMI."""

    name: str
    node: Node
    scope: str
    netns: str
    cables: tuple[Cable, ...]
    bmc: Bmc | None

    @property
    def archive(self) -> bool:
        return Role.ARCHIVE in self.node.roles

    @property
    def database(self) -> bool:
        return Role.DATABASE in self.node.roles

    @property
    def voter(self) -> bool:
        return self.database or Role.WITNESS in self.node.roles


@dataclass(frozen=True)
class Topology:
    """Everything the lab `name` consists of. Scopes name cgroups and units, netns network namespaces."""

    name: str
    lan: IPv4Network
    ops: IPv4Address
    machines: tuple[Machine, ...]

    @property
    def prefix(self) -> str:
        return prefix(self.name)

    @property
    def switch_netns(self) -> str:
        return self.prefix + "switch"

    @property
    def ops_netns(self) -> str:
        return self.prefix + "ops"

    @property
    def fixed_cables(self) -> tuple[Cable, ...]:
        """The cables that stay plugged in whatever the machines do: the operator's, and the BMCs'."""
        ops = (
            Cable("c-ops", LAN_BRIDGE, self.ops_netns, OPS_LAN, self.ops, self.lan.prefixlen),
            Cable("m-ops", MANAGEMENT_BRIDGE, self.ops_netns, "mgmt0", OPS_MANAGEMENT, MANAGEMENT.prefixlen),
        )
        return (*ops, *(bmc.cable for m in self.machines if (bmc := m.bmc)))

    def machine(self, name: str) -> Machine:
        """Raises Refused when the lab has no such node."""
        for candidate in self.machines:
            if candidate.name == name:
                return candidate
        raise Refused(
            f"the lab {self.name} has no node {name}",
            [f"its nodes: {', '.join(m.name for m in self.machines)}"],
        )


def prefix(name: str) -> str:
    """What all names of a lab begin with. The dots end it: no lab's name can contain one."""
    return f"hactl-lab.{name}."


def plan(name: str, spec: ClusterSpec) -> Topology:
    """The lab that `spec` asks for.

    Raises:
        Refused: the spec describes what one LAN segment with one interface a node cannot be; all reasons.

    """
    lan = spec.vips.database.address.network
    if vetoes := _vetoes(spec, lan):
        raise Refused("the lab cannot be made from this spec", vetoes)
    machines = tuple(_machine(name, node_name, node, spec) for node_name, node in spec.nodes.items())
    return Topology(name, lan, _ops_address(spec, lan), machines)


def _machine(lab: str, name: str, node: Node, spec: ClusterSpec) -> Machine:
    netns = prefix(lab) + name
    lan = spec.vips.database.address.network
    # The controllers (database nodes and witness) speak to the BMCs; archive nodes have no business there.
    managed = node.roles != (Role.ARCHIVE,)
    host0 = Cable(f"c-{name}", LAN_BRIDGE, netns, spec.vips.database.interface, node.address, lan.prefixlen)
    mgmt0 = Cable(
        f"m-{name}", MANAGEMENT_BRIDGE, netns, "mgmt0", _management_address(node), MANAGEMENT.prefixlen
    )
    return Machine(
        name=name,
        node=node,
        scope=netns,
        netns=netns,
        cables=(host0, mgmt0) if managed else (host0,),
        bmc=_bmc(lab, name, spec.fencing.agents.get(name)),
    )


def _bmc(lab: str, name: str, agent: FenceAgent | None) -> Bmc | None:
    address = _bmc_address(agent)
    if address is None:
        return None
    scope = f"{prefix(lab)}bmc-{name}"
    return Bmc(scope, Cable(f"b-{name}", MANAGEMENT_BRIDGE, scope, "bmc0", address, MANAGEMENT.prefixlen))


def _management_address(node: Node) -> IPv4Address:
    """Upper half of the management network; BMCs have the lower. _vetoes sees to it that they differ."""
    return MANAGEMENT[128 + int(node.address) % 127]


def _bmc_address(agent: FenceAgent | None) -> IPv4Address | None:
    if agent is None or agent.agent not in {"fence_ipmilan", "fence_idrac", "fence_ilo4", "fence_ilo5"}:
        return None
    return IPv4Address(str(agent.options["ip"])) if "ip" in agent.options else None


def _ops_address(spec: ClusterSpec, lan: IPv4Network) -> IPv4Address:
    """Where the spec lets operators come from; else the network's second address."""
    for network in spec.access.operators:
        if network.prefixlen == 32 and network.network_address in lan:
            return network.network_address
    return lan[2]


def _vetoes(spec: ClusterSpec, lan: IPv4Network) -> list[str]:
    found = [
        f"node {n}: {node.address} is not in {lan}"
        for n, node in spec.nodes.items()
        if node.address not in lan
    ]
    found += [
        f"node {n}: the lab needs this name for itself"
        for n in spec.nodes
        if n in RESERVED or n.startswith("bmc-")
    ]
    found += [
        f"node {n}: longer than {MAX_NODE_NAME} characters" for n in spec.nodes if len(n) > MAX_NODE_NAME
    ]
    if lan.overlaps(MANAGEMENT):
        found.append(f"{lan} overlaps the lab's management network {MANAGEMENT}")
    if spec.vips.archive is None:
        found.append(f"an archive of kind {spec.archive.kind} is somebody else's; a lab makes only its own")
        return found
    if spec.vips.archive.address.network != lan:
        found.append(f"the archive VIP is not in {lan}; a lab has one LAN")
    if spec.vips.archive.interface != spec.vips.database.interface:
        found.append("the two VIPs name different interfaces; a lab's machine has one")
    if lan.prefixlen < 30 and _ops_address(spec, lan) in {n.address for n in spec.nodes.values()}:
        found.append(f"{_ops_address(spec, lan)} is the lab's operator, and a node")
    if spec.ssh.deploy_user != "root":
        found.append(f"ssh.deploy_user is {spec.ssh.deploy_user}; a lab's new machines know root only")
    last = [_management_address(n) for n in spec.nodes.values()]
    if len(set(last)) != len(last):
        found.append(
            "two nodes' addresses differ by a multiple of 127; the lab derives management addresses from them"
        )
    return found + _bmc_vetoes(spec)


def _bmc_vetoes(spec: ClusterSpec) -> list[str]:
    found: list[str] = []
    taken: set[IPv4Address] = set()
    for name, agent in spec.fencing.agents.items():
        try:
            address = _bmc_address(agent)
        except ValueError:
            found.append(f"fencing.agents.{name}: ip is not an address")
            continue
        if address is None:
            continue
        if address in taken:
            found.append(f"fencing.agents.{name}: {address} would be two BMCs")
        taken.add(address)
        if not MANAGEMENT[3] <= address <= MANAGEMENT[127]:
            found.append(
                f"fencing.agents.{name}: a lab's BMC is between {MANAGEMENT[3]} and {MANAGEMENT[127]}"
            )
    return found
