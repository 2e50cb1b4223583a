"""A look of some seconds with the controller's own eyes, and what its decision functions make of it."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from hactl.adapters.clock import SystemClock
from hactl.adapters.events import EventLog
from hactl.controller.mirror import Mirror, Signs
from hactl.controller.probes import Probe
from hactl.controller.samples import Samples
from hactl.controller.tick import Surroundings
from hactl.decide.control import ControlMemory, decide_control
from hactl.decide.failover import FailoverMemory, decide_failover, situation
from hactl.decide.grey import GreyMemory, decide_grey
from hactl.decide.plan import Plan, Step
from hactl.decide.recovery import RecoveryMemory, decide_recovery
from hactl.errors import Unreachable
from hactl.metrics.instruments import Instruments
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.control import ControlView, Dcs
from hactl.view.keys import Keys
from hactl.wiring_controller import ControllerPorts

NOBODY = "this command"  # where no controller is active
LOOK = 0.25  # the controller's own pace
ROUND = 0.1
TICK = 1.0


@dataclass
class Watched:
    """What was seen last, and what was remembered from all that was seen before."""

    spec: ClusterSpec
    view: ControlView
    memory: FailoverMemory
    now: float
    slow: dict[str, Plan] = field(default_factory=dict)

    @property
    def active(self) -> str | None:
        return self.view.dcs.active if isinstance(self.view.dcs, Dcs) else None

    def plans(self) -> dict[str, Plan]:
        """What the active controller would do now, by the part of it that decides."""
        fast, _ = decide_failover(self.spec, self.view, self.memory, self.now)
        return {"failover": fast, **self.slow}


def watch(spec: ClusterSpec, ports: ControllerPorts, seconds: float) -> Watched:
    """Look for so long. It acts on nothing: no heartbeat is written, no fence agent is asked.

    Raises:
        Unreachable: etcd did not answer all the time.

    """
    clock, samples = SystemClock(), Samples()
    around = Surroundings(ports.around, samples, clock)
    log = EventLog("hactl", io.StringIO())
    mirror = Mirror(ports.kv, Keys(spec.cluster), clock, Signs(samples, spec.databases), log)
    probes = [Probe(n, p, q, samples, clock, Instruments()) for (n, p), q in ports.questions.items()]
    memory, slow, due = FailoverMemory(), _Slow(spec), 0.0
    with _closed(ports), _threads(mirror, probes, around):
        end = clock.monotonic() + seconds
        while (now := clock.monotonic()) < end:
            view = _seen(samples)
            memory = situation(spec, view, memory, now).memory
            if now >= due and (cluster := around.latest()):
                slow.round(view, cluster[0], now)
                due = now + TICK
            time.sleep(ROUND)
    view, now = _seen(samples), clock.monotonic()
    if not isinstance(view.dcs, Dcs):
        raise Unreachable(f"etcd did not answer: {view.dcs.why}", hint="hactl status")
    return Watched(spec, view, memory, now, slow.plans)


def _seen(samples: Samples) -> ControlView:
    """As the active controller sees it; without one, as somebody who holds nothing."""
    view = samples.view(NOBODY, holding=False)
    active = view.dcs.active if isinstance(view.dcs, Dcs) else None
    return samples.view(active, holding=True) if active else view


@contextmanager
def _closed(ports: ControllerPorts) -> Iterator[None]:
    try:
        yield
    finally:
        for question in ports.questions.values():
            question.close()


@contextmanager
def _threads(mirror: Mirror, probes: list[Probe], around: Surroundings) -> Iterator[None]:
    stop = threading.Event()
    quick = [
        lambda: mirror.run(lambda: LOOK, stop, lambda: None),
        *(lambda probe=probe: probe.run(lambda: LOOK, stop) for probe in probes),
    ]
    slow = threading.Thread(target=lambda: around.run(lambda: True, stop, lambda: None), daemon=True)
    threads = [threading.Thread(target=target, daemon=True) for target in quick]
    for thread in (slow, *threads):
        thread.start()
    try:
        yield
    finally:
        stop.set()
        mirror.wanted.set()
        for thread in threads:  # each question has a deadline; the slow look is not waited for
            thread.join(1.0)


class _Slow:
    """The tick's decisions over several rounds. A step stays in the plan: nobody carries it out meanwhile."""

    def __init__(self, spec: ClusterSpec) -> None:
        self._spec = spec
        self._grey, self._recovery, self._control = GreyMemory(), RecoveryMemory(), ControlMemory()
        self.plans: dict[str, Plan] = {}

    def round(self, view: ControlView, cluster: ClusterView, now: float) -> None:
        cluster = replace(cluster, control=view.dcs, heartbeat=view.heartbeat)
        grey, self._grey = decide_grey(self._spec, view, cluster, self._grey, now)
        self._add("grey", grey)
        if isinstance(view.dcs, Dcs):
            recovery, self._recovery = decide_recovery(self._spec, cluster, view.dcs, self._recovery, now)
            self._add("recovery", recovery)
        place, self._control = decide_control(self._spec, view, self._control, now)
        self._add("control", place)

    def _add(self, about: str, plan: Plan) -> None:
        before: tuple[Step, ...] = self.plans[about].steps if about in self.plans else ()
        new = tuple(s for s in plan.steps if s.action not in [b.action for b in before])
        self.plans[about] = replace(plan, steps=(*before, *new))
