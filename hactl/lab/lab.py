"""A lab that is there: tests, drills, the demo and the command line look at it and break it through this."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Self

from hactl import layout, site
from hactl.adapters.command import Result, run
from hactl.adapters.tcp import SshBanner
from hactl.errors import Refused
from hactl.lab import image, netns, scope
from hactl.lab.folder import LabFolder
from hactl.lab.machine import LabMachine, Power
from hactl.lab.topology import Topology, plan
from hactl.lab.wait import wait_until
from hactl.site import Site
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from hactl.view.model import State

BOOT_LIMIT = 90.0  # seconds; five machines at once on two busy cores took 12

# In a mount namespace of its own, so that the lab's names resolve for this command only. $1 the hosts file.
_WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


@dataclass(frozen=True)
class NodeState:
    """What `lab status` says of a node. `bmc`: its address and whether it runs; None when there is none."""

    name: str
    address: IPv4Address
    power: Power
    isolated: bool
    bmc: tuple[IPv4Address, bool] | None


@dataclass(frozen=True)
class Lab:
    """Open one with `Lab.open(folder)`."""

    folder: LabFolder
    spec: ClusterSpec
    topology: Topology
    machines: dict[str, LabMachine]
    scopes: scope.Scopes

    @classmethod
    def open(cls, path: Path) -> Self:
        """The lab in this folder.

        Raises:
            Unreachable: there is none.
            SpecError, Refused: its cluster.yaml was edited into something a lab cannot be.

        """
        folder = LabFolder(path)
        facts = folder.read()
        spec = load(folder.spec.read_text(encoding="utf-8"), str(folder.spec))
        topology = plan(facts["name"], spec)
        root, scopes = image.root_of(Path(facts["image"])), scope.scopes()
        machines = {
            m.name: LabMachine(m, folder, topology.switch_netns, root, spec.archive.storage, scopes)
            for m in topology.machines
        }
        return cls(folder, spec, topology, machines, scopes)

    def reduced(self, names: Collection[str]) -> Self:
        """The same without the other machines: nothing is asked of them, and nothing done to them."""
        kept = tuple(m for m in self.topology.machines if m.name in names)
        machines = {m.name: self.machines[m.name] for m in kept}
        return replace(self, topology=replace(self.topology, machines=kept), machines=machines)

    @property
    def site(self) -> Site:
        return site.find(self.folder.spec, self.spec.cluster, environ={})

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.machines)

    def machine(self, name: str) -> LabMachine:
        """Raises Refused when the lab has no such node."""
        self.topology.machine(name)
        return self.machines[name]

    def exec(
        self,
        node: str,
        argv: Sequence[str],
        *,
        within: float = 30,
        check: bool = True,
        stdin: str | None = None,
    ) -> Result:
        """Run `argv` as root on a node, also when its network is cut; errors as of `adapters.command.run`."""
        return self.machine(node).exec(argv, within=within, check=check, stdin=stdin)

    def ops_argv(self, argv: Sequence[str]) -> list[str]:
        """What runs `argv` where the operator sits: nodes and VIPs are reached, nodes also by name."""
        enter = ["nsenter", f"--net={netns.RUN / self.topology.ops_netns}", "--"]
        own_mounts = ["unshare", "--mount", "--propagation", "private", "--"]
        return [*enter, *own_mounts, "sh", "-c", _WITH_HOSTS, "hosts", str(self.folder.hosts), *argv]

    def in_ops(
        self, argv: Sequence[str], *, within: float = 30, check: bool = True, stdin: str | None = None
    ) -> Result:
        return run(self.ops_argv(argv), within=within, check=check, stdin=stdin)

    def power_on(self, node: str, *, wait: bool = True) -> None:
        """Switch a node on; with `wait` return when it can be logged into."""
        self.machine(node).power_on()
        if wait:
            self.wait_booted([node])

    def power_off(self, node: str) -> None:
        self.machine(node).power_off()

    def isolate(self, node: str) -> None:
        self.machine(node).isolate()

    def join(self, node: str) -> None:
        self.machine(node).join()

    def freeze(self, node: str) -> None:
        self.machine(node).freeze()

    def thaw(self, node: str) -> None:
        self.machine(node).thaw()

    def crash_postgres(self, node: str) -> None:
        """Kill the postmaster as a bug in it would: at once, nothing written; its children notice.

        Raises:
            Refused: no PostgreSQL runs there.

        """
        pid_file = layout.pg_data(self.spec.database.version) / "postmaster.pid"
        found = self.exec(node, ["head", "-n", "1", str(pid_file)], check=False).out.strip()
        if not found.isdigit() or self.exec(node, ["kill", "-KILL", found], check=False).code != 0:
            raise Refused(f"no PostgreSQL runs on {node}")

    def addresses(self, node: str) -> frozenset[IPv4Address]:
        """The IPv4 addresses on the node's LAN interface now, VIPs included; empty when it is off."""
        machine = self.machine(node).machine
        if not netns.alive(machine.netns):
            return frozenset()
        shown = run(
            ["ip", "-n", machine.netns, "-4", "-o", "addr", "show", "dev", machine.cables[0].device],
            within=10,
            check=False,
        )
        return frozenset(IPv4Address(line.split()[3].split("/")[0]) for line in shown.out.splitlines())

    def status(self) -> tuple[NodeState, ...]:
        return tuple(self._node_state(m) for m in self.machines.values())

    def heal(self) -> list[str]:
        """Undo every fault: thaw, plug in, power on. What was done, as sentences; empty when all was well."""
        done = []
        for state in self.status():
            if state.power is Power.FROZEN:
                self.thaw(state.name)
                done.append(f"{state.name} thawed")
            if state.isolated:
                self.join(state.name)
                done.append(f"{state.name} joined")
            if state.power is Power.OFF:
                self.power_on(state.name, wait=False)
                done.append(f"{state.name} powered on")
        self.wait_booted(self.nodes)
        return done

    def wait_booted(self, nodes: Sequence[str], on_node: Callable[[str], None] | None = None) -> None:
        """Until each of the nodes greets on its SSH port.

        Raises:
            Unreachable: not within BOOT_LIMIT; names the nodes and where their console's output is.

        """
        waiting = list(nodes)

        def all_up() -> bool:
            with netns.entered(self.topology.ops_netns):
                for name in [n for n in waiting if self._greets(n)]:
                    waiting.remove(name)
                    if on_node:
                        on_node(name)
            return not waiting

        def say() -> str:
            logs = ", ".join(str(self.folder.machine(n).log) for n in waiting)
            return f"no SSH from {', '.join(waiting)} after {BOOT_LIMIT:g} s; see {logs}"

        wait_until(all_up, within=BOOT_LIMIT, say=say)

    def _greets(self, node: str) -> bool:
        banner = SshBanner(str(self.spec.nodes[node].address), self.spec.ssh.port, within=0.5)
        return banner.reachable().state is State.OK

    def _node_state(self, m: LabMachine) -> NodeState:
        power, bmc = m.power(), m.machine.bmc
        return NodeState(
            name=m.name,
            address=m.machine.node.address,
            power=power,
            isolated=power is not Power.OFF and m.isolated(),
            bmc=(bmc.cable.address, self.runs(bmc.scope)) if bmc else None,
        )

    def runs(self, scope_name: str) -> bool:
        cgroup = self.scopes.cgroup(scope_name)
        return cgroup is not None and scope.populated(cgroup)


def only_lab(labs: Path, name: str | None) -> Path:
    """The folder of the lab called `name`, or of the only one there is.

    Raises:
        Refused: none, or several and no name.

    """
    if name:
        return labs / name
    found = sorted(p.parent for p in labs.glob("*/lab.json"))
    if len(found) == 1:
        return found[0]
    if found:
        raise Refused(f"several labs: {', '.join(p.name for p in found)}", hint="say which one: --name NAME")
    raise Refused("there is no lab", hint="hactl lab up")
