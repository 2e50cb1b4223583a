"""A pair that loses db1, an etcd in memory, and real controllers: they may be killed at any call of etcd.

Everything of the controller is real but its threads, its probes and the fence agent: a turn of each is one
call of `Seat.turn`. The clock is moved by `World.forward`, which also lets the nodes do their part.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.adapters.events import EventLog
from hactl.controller.election import Candidate, Election
from hactl.controller.fast import FastLoop
from hactl.controller.mirror import Mirror, Signs
from hactl.controller.samples import Samples
from hactl.metrics.instruments import Instruments
from hactl.spec.model import ClusterSpec
from hactl.view.control import FenceRun, Heartbeat, Path, PathState
from hactl.view.control_text import controller_text
from hactl.view.keys import Keys
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.specs import sample

KEYS = Keys("demo")
VICTIM, STANDBY = "db1", "db2"


class Killed(BaseException):
    """The process is gone: nobody handles it."""


class Fragile:
    """etcd as a process sees it that may be killed before or after its nth call."""

    def __init__(self, kv: Any) -> None:
        self._kv = kv
        self.calls = 0
        self.kill_at: int | None = None
        self.after = False
        self.done: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._kv, name) if name != "journal" else lambda: None

        def counted(*args: Any, **named: Any) -> Any:
            self.calls += 1
            fatal = self.calls == self.kill_at
            dead = self.kill_at is not None and self.calls > self.kill_at
            if dead or (fatal and not self.after):
                raise Killed
            try:
                return call(*args, **named)
            finally:
                self.done.append(name)
                if fatal:
                    raise Killed

        return counted


@dataclass
class Journal:
    """Kept in memory, and through the process's etcd, so that it too is a place to be killed at."""

    kv: Any
    lines: list[dict[str, Any]]

    def _write(self, kind: str, action: str, **fields: Any) -> int:
        self.kv.journal()
        self.lines.append({"kind": kind, "action": action, **json.loads(json.dumps(fields, default=str))})
        return len(self.lines)

    def intent(self, action: str, *, incident: str = "", epoch: int = 0, data: Any = None) -> int:
        return self._write("intent", action, incident=incident, epoch=epoch, data=data)

    def result(self, seq: int, *, ok: bool, data: Any = None) -> None:
        self._write("result", self.lines[seq - 1]["action"], ok=ok, data=data, of=seq)

    def event(self, action: str, *, incident: str = "", epoch: int = 0, data: Any = None) -> int:
        return self._write("event", action, incident=incident, epoch=epoch, data=data)


@dataclass
class World:
    spec: ClusterSpec = field(default_factory=sample)
    clock: FakeClock = field(default_factory=FakeClock)
    lost_at: float | None = None
    power: str = "on"
    power_cuts: list[int] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    releases: int = 0

    def __post_init__(self) -> None:
        self.etcd = FakeEtcd(self.clock)
        self.kv = self.etcd.client()
        self.renewed = 0
        self.patroni_lease = self.etcd.grant(20)
        self.etcd.put(KEYS.leader, VICTIM, self.patroni_lease)
        self.etcd.put(KEYS.patroni + "sync", json.dumps({"leader": VICTIM, "sync_standby": STANDBY}))
        for node, role in ((VICTIM, "primary"), (STANDBY, "replica")):
            member = {"state": "running", "role": role, "timeline": 1}
            streaming = {"replication_state": "streaming"} if node == STANDBY else {}
            self.etcd.put(f"{KEYS.patroni}members/{node}", json.dumps({**member, **streaming}))
            self.etcd.put(KEYS.mode(node), "leased")
        self._renew()

    def _renew(self) -> None:
        self.renewed += 1
        self.etcd.put(KEYS.alive(VICTIM), json.dumps({"boot": "b1", "seq": self.renewed}))

    def lose(self) -> None:
        self.lost_at, self.power = self.clock.now, "off"

    def forward(self, seconds: float = 0.1) -> None:
        self.clock.forward(seconds)
        if self.lost_at is None:
            self.kv.keepalive(self.patroni_lease, within=1)
            if self.etcd.value(KEYS.fence(VICTIM)) is None and self.etcd.value(KEYS.leader) == VICTIM:
                self._renew()
        prime = self.etcd.value(KEYS.prime(STANDBY))
        if prime is not None and self.etcd.value(KEYS.primed(STANDBY)) is None:
            self.etcd.put(
                KEYS.primed(STANDBY), json.dumps({"epoch": json.loads(prime)["epoch"], "killed": 2})
            )
        if self.etcd.value(KEYS.leader) is None:
            self._promote()

    def _promote(self) -> None:
        """As Patroni on the standby does: only if it is named in /sync."""
        sync = json.loads(self.etcd.value(KEYS.patroni + "sync") or "{}")
        if STANDBY in str(sync.get("sync_standby")):
            self.releases += 1
            self.etcd.put(KEYS.leader, STANDBY, self.etcd.grant(20_000))
            self.etcd.put(KEYS.patroni + "sync", json.dumps({"leader": STANDBY, "sync_standby": None}))
            member = {"state": "running", "role": "primary", "timeline": 2}
            self.etcd.put(f"{KEYS.patroni}members/{STANDBY}", json.dumps(member))

    def come_back(self) -> None:
        """The victim's agent says that it is silent; later it streams from the new primary."""
        fence = self.etcd.value(KEYS.fence(VICTIM))
        if fence is not None:
            said = {"epoch": json.loads(fence)["epoch"], "postgres": "stopped", "boot": "b2"}
            self.etcd.put(KEYS.fenced(VICTIM), json.dumps(said))
        member = {"state": "running", "role": "replica", "timeline": 2, "replication_state": "streaming"}
        self.etcd.put(f"{KEYS.patroni}members/{VICTIM}", json.dumps(member))
        self.etcd.put(KEYS.patroni + "sync", json.dumps({"leader": STANDBY, "sync_standby": VICTIM}))


class Seat:
    """One controller process."""

    def __init__(self, world: World, node: str, boot: int = 1) -> None:
        self.world, self.node = world, node
        self.kv = Fragile(world.kv)
        self.samples = Samples()
        self.log = io.StringIO()
        log = EventLog(node, self.log)
        clock: Any = world.clock
        value = controller_text(node, "boot", "now", f"{node}-{boot}")
        kv: Any = self.kv
        self.election = Election(kv, KEYS, Candidate(node, value), clock)
        self.mirror = Mirror(kv, KEYS, clock, Signs(self.samples, world.spec.databases), log)
        hands = Hands(
            me=node, kv=kv, keys=KEYS, journal=Journal(self.kv, world.journal), clock=clock,
            claim=self.election.claim, fences=self, yield_control=self.election.yield_control,
            hours=HourLeases(kv, clock), new_id=lambda: "id",
            addresses={str(n.address): m for m, n in world.spec.nodes.items()},
        )  # fmt: skip
        self.hands = hands
        instruments = Instruments()
        self.fast = FastLoop(
            world.spec,
            self.samples,
            self.mirror,
            hands,
            clock,
            log,
            instruments,
            lambda _: None,
            lambda: None,
        )
        self.dead = False
        self._missed: dict[Path, int] = {}

    # The fence agent: what it reads is true, and what it cuts is counted.
    def start(self, node: str, epoch: int, *, not_after: float, still: Callable[[], bool]) -> None:
        assert node == VICTIM
        assert still()
        now = self.world.clock.now
        assert now <= not_after
        self.world.power_cuts.append(epoch)
        self.samples.fence_run(FenceRun(node, epoch, now, self.world.power, ended=True, read=now))

    def power_on(self, node: str, epoch: int, *, still: Callable[[], bool]) -> None:
        assert still()
        now = self.world.clock.now
        self.samples.power_on(FenceRun(node, epoch, now, "on", ended=True, read=now))

    def call_off(self, node: str) -> None:
        del node

    def turn(self) -> None:
        """One round of everything; a killed process does nothing any more."""
        if self.dead:
            return
        try:
            self.election.step()
            self.mirror.look()
            self._probe()
            self.fast.round()
        except Killed:
            self.dead = True

    def _probe(self) -> None:
        world, now = self.world, self.world.clock.now
        for path in (Path.PATRONI, Path.POSTGRES, Path.ETCD_PEER):
            before = self.samples.path_of(VICTIM, path) or PathState(0, None)
            lives = world.lost_at is None
            state = PathState(0, now) if lives else PathState(before.misses + 1, before.last_ok, "silent")
            self.samples.path(VICTIM, path, state)
        leader = world.etcd.value(KEYS.leader)
        if leader == STANDBY:
            self.samples.heartbeat(lambda _: Heartbeat(0, now, STANDBY, 0.01))


def run(world: World, seats: Sequence[Seat], *, until: Callable[[], bool], within: float = 60.0) -> None:
    """Turns of all seats, 0.1 s apart. Raises AssertionError when it is not so in time."""
    end = world.clock.now + within
    while not until():
        for seat in seats:
            seat.turn()
        world.forward()
        assert world.clock.now < end, "\n".join(seat.log.getvalue() for seat in seats)
