"""A database node in a simulated world: kernel, agent, Patroni, PostgreSQL, keepalived, in what matters.

Each class does what the real one was seen or read to do; what it assumes stands beside it. The kernel's clock
runs on while user space is frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from hactl.view.control import AgentFacts, DcsMember, Fenced, Mode, PeerLook, PostgresLocal
from hactl.view.model import DbRole

if TYPE_CHECKING:
    from tests.support.sim_world import World

LEASE = 3.0
TTL = 20.0
RETRY_TIMEOUT = 5.0
VIP = "192.0.2.100"
OTHER = {"db1": "db2", "db2": "db1"}
ADDRESS = {"db1": "192.0.2.11", "db2": "192.0.2.12"}


@dataclass
class Node:
    name: str
    world: World
    on: bool = True
    frozen: bool = False
    pg: Literal["stopped", "recovery", "primary"] = "recovery"
    wal: list[int] = field(default_factory=list)
    follows: str = ""
    streaming: bool = False
    sync_names: tuple[str, ...] = ()
    patroni: bool = True
    patroni_frozen: bool = False
    patroni_next: float = 0.0
    patroni_lease: int = 0
    patroni_heard: float = 0.0
    promoting: float | None = None
    asking: float | None = None
    agent: bool = True
    agent_disabled: bool = False
    agent_restart: float | None = None
    agent_next: float = 0.0
    boot: int = 0
    seq: int = 0
    fenced_epoch: int | None = None
    says_leased: bool = False
    kernel_open: bool = False
    kernel_until: float = 0.0
    track: bool = False
    rejects_until: float = 0.0
    vip: bool = False
    vip_until: float = 0.0
    quiet_since: float | None = None
    peer_misses: int = 0
    peer_next: float = 0.0

    @property
    def runs(self) -> bool:
        return self.on and not self.frozen

    @property
    def now(self) -> float:
        return self.world.now

    @property
    def passes(self) -> bool:
        """The kernel lets traffic for the VIP through."""
        return self.on and (self.kernel_open or self.kernel_until > self.now)

    @property
    def serves(self) -> bool:
        return self.runs and self.passes and self.vip and self.pg == "primary"

    @property
    def rejects(self) -> bool:
        return self.rejects_until > self.now

    def acks(self) -> bool:
        """A commit returns: nobody need confirm it, or who must is streaming from here."""
        named = [self.world.nodes[n] for n in self.sync_names]
        return not named or any(n.runs and n.streaming and n.follows == self.name for n in named)

    def tick(self) -> None:
        if not self.on:
            return
        if self.vip_until <= self.now and not self.kernel_open:
            self.vip = False
        if not self.runs:
            self.streaming = False
            return
        self._stream()
        if self.patroni and not self.patroni_frozen and self.now >= self.patroni_next:
            self.patroni_next = self.now + 1.0
            self._patroni()
        if self.agent_restart is not None and self.now >= self.agent_restart:
            self.start_agent()
        if self.agent and self.now >= self.agent_next:
            self.agent_next = self.now + 0.5
            self._agent()
        if self.agent and self.now >= self.peer_next:
            self.peer_next = self.now + 0.25
            self._look_at_peer()
        if not self.agent and self.agent_disabled and self.now >= self.agent_next:
            self.agent_next = self.now + 5.0
            self.open_lease()
        self._vrrp()

    # -- PostgreSQL

    def _stream(self) -> None:
        source = self.world.nodes.get(self.follows)
        ok = (
            self.pg == "recovery" and source is not None and source.runs and source.pg == "primary"
            and self.world.talk(self.name, source.name) and not self.rejects
        )  # fmt: skip
        if ok and source is not None:
            if self.wal != source.wal[: len(self.wal)]:
                self._rewind(source)
            self.wal = list(source.wal)
        self.streaming = ok

    def _rewind(self, source: Node) -> None:
        self.world.rewound += 1
        common = 0
        while common < min(len(self.wal), len(source.wal)) and self.wal[common] == source.wal[common]:
            common += 1
        self.wal = self.wal[:common]

    # -- Patroni

    def wake_patroni(self) -> None:
        """Its watch saw the leader key go."""
        if self.runs and self.patroni and not self.patroni_frozen and self.world.etcd.answers(self.name):
            self.patroni_next = min(self.patroni_next, self.now)

    def _patroni(self) -> None:
        etcd = self.world.etcd
        if not etcd.answers(self.name):
            if self.pg == "primary" and self.now - self.patroni_heard > RETRY_TIMEOUT:
                self.pg = "recovery"
            return
        self.patroni_heard = self.now
        leader = etcd.get("leader")
        if self.pg == "stopped" and leader == self.name and self._other_can():
            etcd.txn((), deletes=("leader",))
            self.world.leader_gone()
            leader = None
        if self.pg == "stopped":
            self.pg = "recovery"
        if leader == self.name:
            self._lead()
        elif leader is None:
            self._race()
        else:
            self.pg = "recovery" if self.pg == "primary" else self.pg
            self.follows, self.promoting = leader, None
        self._member()

    def _other_can(self) -> bool:
        sync = self.world.etcd.get("sync") or ("", ())
        other = self.world.nodes[OTHER[self.name]]
        return (
            other.name in sync[1] and other.runs and other.patroni and self.world.talk(self.name, other.name)
        )

    def _lead(self) -> None:
        etcd = self.world.etcd
        if not etcd.keep(self.patroni_lease, self.now):
            self.patroni_lease = etcd.grant(TTL, self.now)
            etcd.put("leader", self.name, self.patroni_lease)
        if self.pg == "recovery":
            self._promote()
        if self.pg != "primary":
            return
        other = self.world.nodes[OTHER[self.name]]
        named = (other.name,) if other.runs and other.streaming and other.follows == self.name else ()
        if named and not self.sync_names:
            self.sync_names = named  # PostgreSQL waits for it before /sync says so
        if etcd.get("sync") != (self.name, named):
            etcd.put("sync", (self.name, named))
        self.sync_names = named

    def _promote(self) -> None:
        if self.promoting is None:
            self.promoting = self.now
            self.patroni_next = self.now + 0.2
            return
        self.pg, self.promoting, self.follows, self.sync_names = "primary", None, "", ()

    def _race(self) -> None:
        etcd = self.world.etcd
        sync = etcd.get("sync") or ("", ())
        if sync[0] and self.name not in {sync[0], *sync[1]}:
            return
        other = self.world.nodes[OTHER[self.name]]
        if other.runs and other.patroni and not other.patroni_frozen and self._rest(other):
            if other.pg == "primary":
                return
            if len(other.wal) > len(self.wal):
                return
        elif not self.rejects and not self._waited():
            return
        self.asking = None
        self.patroni_lease = etcd.grant(TTL, self.now)
        if etcd.txn(["leader" not in etcd.keys], {"leader": self.name}, lease=self.patroni_lease):
            self._lead()

    def _rest(self, other: Node) -> bool:
        return self.world.talk(self.name, other.name) and not self.rejects

    def _waited(self) -> bool:
        """Asking a dead host takes Patroni 2 s."""
        if self.asking is None:
            self.asking = self.now
            self.patroni_next = self.now + 2.0
            return False
        return self.now - self.asking >= 2.0

    def _member(self) -> None:
        role = DbRole.PRIMARY if self.pg == "primary" else DbRole.STANDBY
        state = "streaming" if self.streaming else ""
        self.world.etcd.put(f"member/{self.name}", DcsMember(self.name, role, "running", state))

    # -- the agent

    def start_agent(self) -> None:
        """From open, the kernel closes first, with one lease of grace; etcd is told after."""
        self.agent, self.agent_disabled, self.agent_restart = True, False, None
        if self.kernel_open:
            self.kernel_open, self.kernel_until = False, self.now + LEASE
            self.vip_until = self.kernel_until
        self.says_leased = False
        self.fenced_epoch = None
        self.agent_next = self.now

    def open_lease(self) -> None:
        etcd = self.world.etcd
        if self.kernel_open or not etcd.answers(self.name):
            return
        if etcd.txn([f"fence/{self.name}" not in etcd.keys], {f"mode/{self.name}": Mode.OPEN}):
            self.kernel_open = True

    def _agent(self) -> None:
        etcd, me = self.world.etcd, self.name
        if not etcd.answers(me):
            return
        if not self.says_leased:
            etcd.put(f"mode/{me}", Mode.LEASED)
            self.says_leased = True
        fence = etcd.get(f"fence/{me}")
        leads = etcd.get("leader") == me
        if fence is not None:
            self._shut()
            self._fence(fence.epoch)
        elif leads:
            self.seq += 1
            etcd.put(f"alive/{me}", (self.boot, self.seq))
            self.kernel_until = self.now + LEASE
            self.vip_until = self.kernel_until
            self.track = self.pg == "primary"
        else:
            self._shut()
        if fence is None and self.fenced_epoch is not None:
            self.fenced_epoch, self.patroni = None, True
        self._prime()
        self._facts()

    def _shut(self) -> None:
        self.kernel_until, self.track = 0.0, False

    def _fence(self, epoch: int) -> None:
        """One round stops PostgreSQL, the next one reports it: the intent may have gone between."""
        if self.pg == "primary" or self.fenced_epoch != epoch:
            self.patroni, self.pg, self.fenced_epoch = False, "stopped", epoch
            self.streaming = False
        elif self.world.etcd.get(f"fenced/{self.name}") is None:
            self.world.etcd.put(f"fenced/{self.name}", Fenced(self.name, epoch, self.pg))

    def _prime(self) -> None:
        prime = self.world.etcd.get(f"prime/{self.name}")
        self.rejects_until = self.now + 60.0 if prime else 0.0
        if prime and self.world.etcd.get(f"primed/{self.name}") != prime.epoch:
            self.world.etcd.put(f"primed/{self.name}", prime.epoch)

    def _look_at_peer(self) -> None:
        other = self.world.nodes[OTHER[self.name]]
        ok = (
            other.runs
            and other.pg != "stopped"
            and self.world.talk(self.name, other.name)
            and not self.rejects
        )
        before, self.peer_misses = self.peer_misses, 0 if ok else self.peer_misses + 1
        if (before >= 4) != (self.peer_misses >= 4) and self.world.etcd.answers(self.name):
            self._facts()

    def _facts(self) -> None:
        self.seq += 1
        local = PostgresLocal(self.pg == "primary", self.follows if self.streaming else "")
        facts = AgentFacts(
            self.name, str(self.boot), self.seq, postgres=local, vips=(VIP,) if self.vip else (),
            peers={OTHER[self.name]: PeerLook(self.peer_misses)},
        )  # fmt: skip
        self.world.etcd.put(f"facts/{self.name}", facts)

    # -- keepalived

    def _vrrp(self) -> None:
        wants = (self.kernel_open and self.pg == "primary") or (self.track and self.kernel_until > self.now)
        if not wants:
            self.vip, self.quiet_since = False, None
            return
        other = self.world.nodes[OTHER[self.name]]
        if other.runs and other.vip and self.world.hears(self.name, other.name):
            self.quiet_since = None
            if self.vip and self.name < other.name:
                self.vip = False
            return
        if self.quiet_since is None:
            self.quiet_since = self.now
        if self.now - self.quiet_since >= 0.3:
            self.vip = True

    # -- faults

    def power_off(self) -> None:
        self.on, self.frozen, self.pg, self.patroni, self.agent = False, False, "stopped", False, False
        self.vip, self.streaming, self.kernel_until, self.track = False, False, 0.0, False
        self.promoting, self.rejects_until = None, 0.0

    def power_on(self) -> None:
        if self.on:
            return
        self.on, self.boot, self.patroni, self.patroni_frozen = True, self.boot + 1, True, False
        self.patroni_next, self.patroni_heard, self.sync_names = self.now + 2.0, self.now, ()
        self.quiet_since, self.fenced_epoch, self.asking = None, None, None
        if not self.agent_disabled:
            opened, self.kernel_open = self.kernel_open, False
            self.start_agent()
            self.kernel_until = self.now + LEASE if opened else 0.0
