"""A controller in a simulated world: it looks, decides with the real core, and acts one step a tick.

Between any two steps it may be killed, or frozen and go on later with what it had decided.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hactl.decide.control import ControlMemory, decide_control
from hactl.decide.failover import FailoverMemory, decide_failover, noted
from hactl.decide.plan import (
    CloseIncident,
    Mark,
    MoveEtcdLeader,
    OpenIncident,
    Outcome,
    Plan,
    PowerOn,
    PrimeStandby,
    Readmit,
    ReleaseLeader,
    RunFenceAgent,
    Step,
    Withdraw,
    YieldControl,
)
from hactl.view.control import (
    ControlView,
    Dcs,
    FenceRun,
    Heartbeat,
    Key,
    Leader,
    Path,
    PathState,
    PatroniKeys,
    Prime,
)
from hactl.view.control_text import incident_text, parse_incident
from hactl.view.incident import Phase, Stamp
from hactl.view.model import Unknown
from tests.support.sim_node import OTHER

if TYPE_CHECKING:
    from tests.support.sim_world import World

HANDS_OFF = (Withdraw, Mark)


@dataclass
class SimController:
    name: str
    world: World
    running: bool = True
    frozen: bool = False
    slow_looks: int = 0
    started: int = 0
    memory: FailoverMemory = field(default_factory=FailoverMemory)
    control: ControlMemory = field(default_factory=ControlMemory)
    lease: int = 0
    kept: float = -99.0
    queue: list[Step] = field(default_factory=list)
    runs: dict[str, FenceRun] = field(default_factory=dict)
    ons: dict[str, FenceRun] = field(default_factory=dict)
    paths: dict[str, dict[Path, PathState]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    dcs: Dcs | Unknown = field(default_factory=lambda: Unknown("not looked yet"))
    dcs_at: float = -99.0
    late: list[tuple[float, float, Dcs]] = field(default_factory=list)
    beat: Heartbeat = field(default_factory=Heartbeat)
    due: float = 0.0
    alarms: tuple[str, ...] = ()
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        return self.running and not self.frozen and self.world.runs(self.name)

    @property
    def token(self) -> tuple[str, int]:
        return (self.name, self.started)

    @property
    def answers(self) -> bool:
        return self.world.etcd.answers(self.name)

    @property
    def holding(self) -> bool:
        return bool(self.lease) and self.world.now - self.kept < 2.0

    def crash(self) -> None:
        """Everything it knew is gone; a fence agent that it started goes on."""
        for key, kind in (("running", False), ("lease", 0), ("kept", -99.0), ("frozen", False)):
            setattr(self, key, kind)
        self.memory, self.control, self.queue, self.runs = FailoverMemory(), ControlMemory(), [], {}
        self.ons = {}
        self.paths, self.revisions, self.beat, self.late, self.outcomes = {}, {}, Heartbeat(), [], []
        self.dcs, self.dcs_at = Unknown("not looked yet"), -99.0

    def start(self) -> None:
        if not self.running:
            self.running, self.started = True, self.started + 1

    def tick(self) -> None:
        if not self.alive:
            return
        self._elect()
        if self.world.now >= self.due:
            self.due = self.world.now + 0.2
            self._look()
            self._probe()
        self._deliver()
        self._switch_on()
        if self.queue:
            step = self.queue.pop(0)
            if not self._act(step):
                self.queue = []
        else:
            self._decide()

    # -- lease, looks and probes

    def _elect(self) -> None:
        etcd, now = self.world.etcd, self.world.now
        if not self.answers or now - self.kept < 0.5:
            return
        if self.lease and etcd.keep(self.lease, now):
            self.kept = now
            return
        self.lease = 0
        if "controller" not in etcd.keys:
            self.lease = etcd.grant(3.0, now)
            etcd.txn(["controller" not in etcd.keys], {"controller": self.token}, lease=self.lease)
            self.kept = now

    def _look(self) -> None:
        if not self.answers:
            self.dcs, self.late = Unknown("no quorum"), []
            return
        delay = 0.5 if self.slow_looks else 0.0
        self.slow_looks = max(0, self.slow_looks - 1)
        self.late.append((self.world.now + delay, self.world.now, self.world.dcs()))

    def _deliver(self) -> None:
        for item in [i for i in self.late if i[0] <= self.world.now]:
            self.late.remove(item)
            _, self.dcs_at, self.dcs = item

    def _probe(self) -> None:
        world, now = self.world, self.world.now
        for name, node in world.nodes.items():
            near = name == self.name or world.talk(self.name, name)
            self._path(name, Path.PATRONI, ok=node.runs and node.patroni and not node.patroni_frozen and near)
            self._path(name, Path.ETCD_PEER, ok=node.runs and near)
            if self.answers:
                facts = world.etcd.get(f"facts/{OTHER[name]}")
                misses = facts.peers[name].misses if facts else 0
                self._path(name, Path.POSTGRES, ok=misses == 0, misses=misses if facts else None)
                entry = world.etcd.keys.get(f"alive/{name}")
                renewed = entry is not None and entry.mod != self.revisions.get(name)
                self.revisions[name] = entry.mod if entry else 0
                self._path(name, Path.ALIVE_KEY, ok=renewed)
        near = world.runs("wit1") and (self.name == "wit1" or world.talk(self.name, "wit1"))
        self._path("wit1", Path.ETCD_PEER, ok=near)
        target = next((n for n in world.nodes.values() if n.serves and n.acks()), None)
        if target and (target.name == self.name or world.talk(self.name, target.name)):
            self.beat = Heartbeat(0, now, target.name)
        else:
            self.beat = replace(self.beat, misses=self.beat.misses + 1)

    def _path(self, node: str, path: Path, *, ok: bool, misses: int | None = None) -> None:
        states = self.paths.setdefault(node, {})
        before = states.get(path, PathState(0, None))
        count = before.misses + 1 if misses is None else misses
        states[path] = PathState(0, self.world.now) if ok else PathState(count, before.last_ok)

    # -- deciding

    def view(self) -> ControlView:
        return ControlView(
            me=self.name, holding=self.holding, dcs=self.dcs, dcs_at=self.dcs_at,
            paths={n: dict(p) for n, p in self.paths.items()}, fence_runs=dict(self.runs),
            power_ons=dict(self.ons), heartbeat=self.beat,
            etcd_leader=self.world.etcd.leader if self.answers else Unknown("no quorum"),
        )  # fmt: skip

    def _decide(self) -> None:
        view, now = self.view(), self.world.now
        self.memory = noted(self.memory, tuple(self.outcomes))
        self.outcomes = []
        plan, self.memory = decide_failover(self.world.spec, view, self.memory, now)
        other, self.control = decide_control(self.world.spec, view, self.control, now)
        self.alarms = plan.alarms
        for found in (plan, other):
            self._hold_to_rules(view, found)
        self.queue = [*plan.steps, *other.steps]

    def _hold_to_rules(self, view: ControlView, plan: Plan) -> None:
        actions = [s.action for s in plan.steps]
        assert not actions or view.holding, "steps without the controller's lease"
        assert not actions or isinstance(view.dcs, Dcs), "steps on an Unknown"
        if isinstance(view.dcs, Dcs) and view.dcs.paused:
            assert all(isinstance(a, HANDS_OFF) for a in actions), f"paused, and yet {actions}"

    # -- acting: each transaction compares the controller's key

    def _act(self, step: Step) -> bool:
        action, asked = step.action, self.world.now
        if not self.answers and not isinstance(action, RunFenceAgent):
            done = False
        else:
            done = bool(getattr(self, f"_do_{type(action).__name__}")(action))
        self.world.acts.append((round(asked, 1), self.name, type(action).__name__, done))
        entry = self.world.etcd.keys.get(f"alive/{getattr(action, 'intent', None) and action.intent.node}")
        alive = Key("{}", entry.mod) if entry and isinstance(action, OpenIncident) else None
        self.outcomes.append(Outcome(action, done, "", asked, self.world.now, alive))
        return done

    @property
    def _mine(self) -> bool:
        return bool(self.world.etcd.get("controller") == self.token)

    def _fence_is(self, node: str, epoch: int) -> bool:
        found = self.world.etcd.get(f"fence/{node}")
        return found is not None and found.epoch == epoch

    def _do_OpenIncident(self, a: OpenIncident) -> bool:  # noqa: N802
        e = self.world.etcd
        return e.txn(
            [
                self._mine, self.world.leader() == a.intent.leader, not e.below("fence/"),
                "incident" not in e.keys, (e.get("epoch") or 0) == a.intent.epoch - 1,
            ],
            {
                f"fence/{a.intent.node}": a.intent, "incident": incident_text(a.incident),
                "epoch": a.intent.epoch,
            },
        )  # fmt: skip

    def _do_RunFenceAgent(self, a: RunFenceAgent) -> bool:  # noqa: N802
        now = self.world.now
        if now > a.not_after:
            return False
        on = self.world.nodes[a.node].on
        self.runs[a.node] = FenceRun(a.node, a.epoch, now, Unknown("asked"), ended=False, was_on=on)
        self.world.shoot(self, a.node, a.epoch)
        return True

    def _end_run(self, node: str) -> None:
        """What was to switch it off is killed, if it is this process that started it."""
        if node in self.runs and not self.runs[node].ended:
            self.runs[node] = replace(self.runs[node], ended=True)
            self.world.call_off(self, node, self.runs[node].epoch)

    def _do_PowerOn(self, a: PowerOn) -> bool:  # noqa: N802
        e = self.world.etcd
        text = e.get("incident")
        incident = parse_incident(text) if text else None
        ok = [self._mine, self._fence_is(a.node, a.epoch), incident is not None, "paused" not in e.keys]
        if incident is None:
            return False
        details = {**incident.details, "power_tries": incident.power_tries + 1}
        if not e.txn(ok, {"incident": incident_text(replace(incident, details=details))}):
            return False
        assert incident.reached(Phase.FIRST_COMMIT), "switched on before anybody could commit"
        assert incident.power_tries < 2, "switched on a third time"
        self._end_run(a.node)
        assert not self.world.shots, f"it would be cut again while it boots: {self.world.last()}"
        self.ons[a.node] = FenceRun(a.node, a.epoch, self.world.now, Unknown("asked"), ended=False)
        return True

    def _switch_on(self) -> None:
        for name, run in self.ons.items():
            if not run.ended and self.world.now - run.started >= 0.6:
                node = self.world.nodes[name]
                if self.world.bmc_works:
                    node.power_on()
                power = "on" if node.on else "off"
                self.ons[name] = replace(run, power=power, ended=True, read=self.world.now)

    def _do_PrimeStandby(self, a: PrimeStandby) -> bool:  # noqa: N802
        prime = Prime(a.standby, a.epoch, a.address)
        victim = OTHER[a.standby]
        ok = [self._mine, self._fence_is(victim, a.epoch)]
        return self.world.etcd.txn(ok, {f"prime/{a.standby}": prime})

    def _do_ReleaseLeader(self, a: ReleaseLeader) -> bool:  # noqa: N802
        e, node = self.world.etcd, a.intent.node
        ok = [self._mine, e.get(f"fence/{node}") == a.intent, self.world.leader() == a.intent.leader]
        if not e.txn([*ok, "paused" not in e.keys], deletes=("leader",)):
            return False
        self.world.released(node, a.proof)
        self._stamp_release(a)
        return True

    def _stamp_release(self, a: ReleaseLeader) -> None:
        incident, now = parse_incident(self.world.etcd.get("incident")), round(self.world.now * 1000)
        reached = [Phase.PROOF, *([Phase.PRIMED] if a.primed else []), Phase.RELEASED]
        stamps = [Stamp(p, a.intent.node, now, "") for p in reached if incident.reached(p) is None]
        details = {**incident.details, **({"switched_off": True} if a.switched_off else {})}
        stamped = replace(incident, stamps=(*incident.stamps, *stamps), details=details)
        self.world.etcd.put("incident", incident_text(stamped))

    def _do_Mark(self, a: Mark) -> bool:  # noqa: N802
        e = self.world.etcd
        text = e.get("incident")
        if not self._mine or text is None or (incident := parse_incident(text)).id != a.incident:
            return False
        if a.phase is Phase.FIRST_COMMIT:
            self._end_run(incident.victim)
        if incident.reached(a.phase) is None:
            if a.switched_off:
                incident = replace(incident, details={**incident.details, "switched_off": True})
            stamp = Stamp(a.phase, a.node, round(a.at * 1000), "", a.evidence)
            e.put("incident", incident_text(replace(incident, stamps=(*incident.stamps, stamp))))
        return True

    def _clear(self, node: str, epoch: int, standby: str) -> list[str]:
        """The keys of this epoch, whatever else was put there meanwhile."""
        e = self.world.etcd
        keys = [f"fence/{node}", f"fenced/{node}", f"prime/{standby}"]
        gone = [k for k in keys if k in e.keys and e.get(k).epoch == epoch]
        return gone + [k for k in (f"primed/{standby}",) if e.get(k) == epoch]

    def _incident_is(self, name: str) -> bool:
        text = self.world.etcd.get("incident")
        return text is not None and parse_incident(text).id == name

    def _do_Withdraw(self, a: Withdraw) -> bool:  # noqa: N802
        ok = [self._mine, self._incident_is(a.incident) if a.incident else self._fence_is(a.node, a.epoch)]
        keys = self._clear(a.node, a.epoch, a.standby) + (["incident"] if a.incident else [])
        return self.world.etcd.txn(ok, deletes=keys)

    def _do_Readmit(self, a: Readmit) -> bool:  # noqa: N802
        return self.world.etcd.txn([self._mine], deletes=self._clear(a.node, a.epoch, a.standby))

    def _do_CloseIncident(self, a: CloseIncident) -> bool:  # noqa: N802
        done = self.world.etcd.txn([self._mine, self._incident_is(a.incident)], deletes=("incident",))
        self.world.closed.append(a.outcome) if done else None
        return done

    def _do_MoveEtcdLeader(self, a: MoveEtcdLeader) -> bool:  # noqa: N802
        self.world.etcd.move(a.to)
        return True

    def _do_YieldControl(self, _: YieldControl) -> bool:  # noqa: N802
        self.world.etcd.revoke(self.lease)
        self.lease, self.kept = 0, self.world.now + 1.0
        return True


def dcs_of(world: Any) -> Dcs:
    """All keys at once, as a linearizable range over both prefixes gives them."""
    e = world.etcd
    sync = e.get("sync") or ("", ())
    return Dcs(
        revision=e.revision,
        patroni=PatroniKeys(world.leader(), sync[0], sync[1], e.below("member/"), paused=False),
        alive={n: Key(str(e.get(f"alive/{n}")), e.keys[f"alive/{n}"].mod) for n in e.below("alive/")},
        modes=e.below("mode/"),
        mode_revisions={n: e.keys[f"mode/{n}"].mod for n in e.below("mode/")},
        fences=e.below("fence/"), fenced=e.below("fenced/"),
        primes=e.below("prime/"), primed=e.below("primed/"),
        facts=e.below("facts/"), active=(e.get("controller") or ("", 0))[0],
        standing_by=tuple(c.name for c in world.controllers.values() if c.alive and not c.lease),
        incident=e.get("incident"), epoch=e.get("epoch") or 0, recent_failovers=0, paused="paused" in e.keys,
    )  # fmt: skip


def leader_of(world: Any) -> Leader | None:
    entry = world.etcd.keys.get("leader")
    return None if entry is None else Leader(entry.value, entry.lease, entry.mod)
