"""The simulated world: two database nodes, a witness, an etcd, two controllers, a network that may be cut.

`tick` is a tenth of a second of everything; after each the promises are checked that must hold at any moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hactl.spec.model import ClusterSpec
from hactl.view.control import Dcs, Leader, Proof
from tests.support.sim_controller import SimController, dcs_of, leader_of
from tests.support.sim_etcd import SimEtcd
from tests.support.sim_node import OTHER, Node

TICK = 0.1
HOSTS = ("db1", "db2", "wit1")


@dataclass
class Shot:
    """A fence agent at work: it acts at `at`, if the power controller listens."""

    by: SimController
    node: str
    epoch: int
    at: float
    works: bool


class World:
    def __init__(self, spec: ClusterSpec) -> None:
        self.spec = spec
        self.ticks = 0
        self.cut: set[tuple[str, str]] = set()
        self.witness_on = True
        self.witness_frozen = False
        self.bmc_works = True
        self.etcd = SimEtcd(self.runs, self.talk)
        self.nodes = {name: Node(name, self) for name in OTHER}
        self.controllers = {name: SimController(name, self) for name in ("wit1", "db2")}
        self.shots: list[Shot] = []
        self.due: list[tuple[float, Callable[[], None]]] = []
        self.acts: list[tuple[float, str, str, bool]] = []
        self.closed: list[str] = []
        self.acked: list[tuple[float, str, int]] = []
        self.releases: list[tuple[float, Proof]] = []
        self.rewound = 0
        self.writes = 0
        self._settle()

    def _settle(self) -> None:
        """db1 is primary, everything has run for some seconds."""
        first = self.nodes["db1"]
        first.patroni_lease = self.etcd.grant(20.0, 0.0)
        self.etcd.put("leader", "db1", first.patroni_lease)
        first.pg = "primary"
        self.etcd.put("sync", ("db1", ()))
        self.advance(6.0)

    @property
    def now(self) -> float:
        return self.ticks * TICK

    # -- who runs, who hears whom

    def runs(self, host: str) -> bool:
        if host == "wit1":
            return self.witness_on and not self.witness_frozen
        return self.nodes[host].runs

    def hears(self, listener: str, speaker: str) -> bool:
        return (speaker, listener) not in self.cut

    def talk(self, a: str, b: str) -> bool:
        return self.runs(b) and self.hears(a, b) and self.hears(b, a)

    # -- what controllers see and do

    def dcs(self) -> Dcs:
        return dcs_of(self)

    def leader(self) -> Leader | None:
        return leader_of(self)

    def leader_gone(self) -> None:
        for node in self.nodes.values():
            node.wake_patroni()

    def released(self, node: str, proof: Proof) -> None:
        victim = self.nodes[node]
        silent = not victim.passes or (victim.pg != "primary" and not victim.kernel_open)
        assert silent, f"{node} was released by {proof.kind}, and serves: {self.last()}"
        self.releases.append((self.now, proof))
        self.leader_gone()

    def shoot(self, by: SimController, node: str, epoch: int) -> None:
        self.shots.append(Shot(by, node, epoch, self.now + 0.6, self.bmc_works))

    def call_off(self, by: SimController, node: str, epoch: int) -> None:
        self.shots = [s for s in self.shots if (s.by, s.node, s.epoch) != (by, node, epoch)]

    def _fire(self) -> None:
        for shot in [s for s in self.shots if s.at <= self.now]:
            self.shots.remove(shot)
            if shot.works:
                self.nodes[shot.node].power_off()
            run = shot.by.runs.get(shot.node)
            if run is not None and run.epoch == shot.epoch:
                power = "off" if shot.works else "on"
                shot.by.runs[shot.node] = replace(run, power=power, ended=True, read=self.now)

    # -- time

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        self.due.append((self.now + seconds, act))

    def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.tick()

    def advance_until_acted(self, times: int, within: float = 10.0) -> None:
        """Until the controllers have done so many steps more."""
        wanted, end = len(self.acts) + times, self.now + within
        while len(self.acts) < wanted and self.now < end:
            self.tick()

    def tick(self) -> None:
        self.ticks += 1
        had = self.etcd.get("leader")
        self.etcd.tick(self.now)
        if had and self.etcd.get("leader") is None:
            self.leader_gone()
        self._fire()
        for item in [d for d in self.due if d[0] <= self.now]:
            self.due.remove(item)
            item[1]()
        for node in self.nodes.values():
            node.tick()
        for controller in self.controllers.values():
            controller.tick()
        self._write()

    def _write(self) -> None:
        """A client writes wherever the VIP leads; two nodes that acknowledge at once are a split brain."""
        serving = [n for n in self.nodes.values() if n.serves]
        acking = [n for n in serving if n.acks()]
        assert len(acking) <= 1, f"two nodes take writes: {self.last()}"
        holders = [n.name for n in self.nodes.values() if n.vip and n.passes and n.on]
        assert len(holders) <= 1, f"two nodes hold the VIP and may serve: {self.last()}"
        for node in serving:
            self.writes += 1
            node.wal.append(self.writes)
            if node in acking:
                for name in node.sync_names:
                    self.nodes[name].wal = list(node.wal)
                self.acked.append((self.now, node.name, self.writes))

    def last(self) -> str:
        """What was done lately, for messages."""
        states = "; ".join(
            f"{n.name} pg={n.pg} on={n.on} frozen={n.frozen} passes={n.passes} vip={n.vip}"
            for n in self.nodes.values()
        )
        return f"t={self.now:.1f} {states} leader={self.leader()} acts={self.acts[-12:]}"

    # -- the end

    def heal(self) -> None:
        self.cut.clear()
        self.due.clear()
        self.witness_on, self.witness_frozen, self.bmc_works = True, False, True
        self.etcd.keys.pop("paused", None)
        for node in self.nodes.values():
            node.frozen = node.patroni_frozen = False
            node.power_on()
            if not node.agent:
                node.start_agent()
            if node.fenced_epoch is None:
                node.patroni = True
        for controller in self.controllers.values():
            controller.frozen = False
            controller.start()

    def check_converged(self) -> None:
        primaries = [n for n in self.nodes.values() if n.pg == "primary"]
        assert len(primaries) == 1, f"not one primary: {self.last()}"
        assert not self.etcd.below("fence/"), f"a fence is left: {self.last()}"
        assert not self.etcd.below("prime/"), f"a refusal is left: {self.last()}"
        assert "incident" not in self.etcd.keys, (
            f"an incident is open: {self.etcd.get('incident')} {self.last()}"
        )
        primary = primaries[0]
        assert primary.serves, f"the primary does not serve: {self.last()}"
        assert self.nodes[OTHER[primary.name]].streaming, f"no standby streams: {self.last()}"
        lost = {w for _, _, w in self.acked} - set(primary.wal)
        assert not lost, f"acknowledged writes are lost: {sorted(lost)[:5]} {self.last()}"
