"""The tick, each second: what is slow or grey, what came back, and what the exporter shows."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hactl.act import mutes
from hactl.act.ends import Ends
from hactl.act.hands import Hands
from hactl.act.run import execute
from hactl.adapters.events import EventLog
from hactl.controller.answers import Answers
from hactl.controller.fast import report, told
from hactl.controller.handover import Handover
from hactl.controller.ledgers import Ledgers
from hactl.controller.samples import Samples
from hactl.controller.turns import Turns
from hactl.decide.control import ControlMemory, decide_control
from hactl.decide.grey import GreyMemory, decide_grey
from hactl.decide.health import judge
from hactl.decide.mute import Heard, heard
from hactl.decide.plan import GiveOrder, Outcome, Plan
from hactl.decide.reconcile import ReconcileMemory, decide_reconcile
from hactl.decide.recovery import RecoveryMemory, decide_recovery
from hactl.decide.scheduled import decide_scheduled
from hactl.errors import Refused, Unreachable
from hactl.metrics.instruments import Instruments
from hactl.metrics.snapshot import ArchivesSeen, Board, Snapshot, Totals
from hactl.observe.gather import gather
from hactl.ports import Clock, Ports
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.control import ControlView, Dcs
from hactl.view.control_text import parse_incident
from hactl.view.incident import Incident
from hactl.view.model import Unknown

EVERY: Final = 1.0
VIEW_EVERY: Final = 2.0
VIEW_OLD: Final = 6.0  # an older view decides nothing
_NONE_SEEN: Final = ArchivesSeen()


class Surroundings:
    """The slow look at everything, in its own thread: each source has a deadline, no tick waits."""

    def __init__(self, ports: Ports, samples: Samples, clock: Clock, archives: Sequence[str] = ()) -> None:
        """`archives`: whose hosts are asked in turns, where there are many."""
        self._ports, self._samples, self._clock = ports, samples, clock
        self._turns = Turns(ports.nodes, archives)
        self._lock = threading.Lock()
        self._seen: tuple[ClusterView, float] | None = None

    def look(self) -> None:
        asked = self._clock.monotonic()
        view = self._turns.whole(gather(dataclasses.replace(self._ports, nodes=self._turns.next())))
        self._samples.etcd_leader(_etcd_leader(view))
        with self._lock:
            self._seen = (view, asked)

    def forget(self) -> None:
        self._turns.forget()
        with self._lock:
            self._seen = None

    def latest(self) -> tuple[ClusterView, float] | None:
        with self._lock:
            return self._seen

    def run(self, active: Callable[[], bool], stop: threading.Event, beat: Callable[[], None]) -> None:
        while not stop.is_set():
            asked = self._clock.monotonic()
            if active():
                self.look()
            else:
                self.forget()
            beat()
            stop.wait(max(0.1, asked + VIEW_EVERY - self._clock.monotonic()))


def _etcd_leader(view: ClusterView) -> str | Unknown:
    """The name of the member that most of those who answer call their leader."""
    names: dict[str, str] = {}
    votes: dict[str, int] = {}
    for seen in view.etcd.values():
        if not isinstance(seen.members, Unknown):
            names.update({m.member_id: m.name for m in seen.members})
        if not isinstance(seen.status, Unknown) and seen.status.leader_id:
            votes[seen.status.leader_id] = votes.get(seen.status.leader_id, 0) + 1
    if not votes:
        return Unknown("no member of etcd says who leads")
    leader = max(votes, key=lambda member: votes[member])
    return names.get(leader, Unknown(f"etcd's leader {leader} has no name"))


@dataclass
class Memories:
    control: ControlMemory = field(default_factory=ControlMemory)
    grey: GreyMemory = field(default_factory=GreyMemory)
    recovery: RecoveryMemory = field(default_factory=RecoveryMemory)
    reconcile: ReconcileMemory = field(default_factory=ReconcileMemory)


@dataclass
class Tick:
    spec: ClusterSpec
    samples: Samples
    surroundings: Surroundings
    hands: Hands
    clock: Clock
    log: EventLog
    instruments: Instruments
    board: Board
    memories: Memories = field(default_factory=Memories)
    totals: Callable[[], tuple[Totals | None, int | None, Incident | None]] = lambda: (None, None, None)
    archives: Callable[[], ArchivesSeen] = ArchivesSeen

    def __post_init__(self) -> None:
        self.answers = Answers(self.hands.journal, self.log)
        self.ledgers = Ledgers(self.hands.journal, self.log)
        self.ends = Ends(self.hands)
        self.handover = Handover(self.hands.journal)

    def once(self) -> None:
        began = self.clock.monotonic()
        control = self.samples.view(self.hands.me, holding=self.hands.claim() is not None)
        seen = self.surroundings.latest() if control.holding else None
        self._answered(control)
        if not control.holding:
            self.memories = Memories()
            self.samples.grey({})
        elif seen is not None and began - seen[1] <= VIEW_OLD:
            self._decide(control, _joined(seen[0], control), began)
        self._publish(control, seen, began)
        self.instruments.tick("tick", self.clock.monotonic() - began)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        while not stop.is_set():
            began = self.clock.monotonic()
            self.once()
            beat()
            stop.wait(max(0.05, began + EVERY - self.clock.monotonic()))

    def _answered(self, control: ControlView) -> None:
        if not control.holding:
            self.answers.forget()
            self.ledgers.forget()
            self.ends.forget()
            self.handover.forget()
        elif isinstance(control.dcs, Dcs):
            self.answers.look(control.dcs)
            self.ledgers.look(control.dcs)
            self.ends.look()
            self.handover.look(control.dcs, self.clock.monotonic())

    def _decide(self, control: ControlView, cluster: ClusterView, now: float) -> None:
        m = self.memories
        grey, m.grey = decide_grey(self.spec, control, cluster, m.grey, now)
        self.samples.grey(m.grey.suspects)
        busy = {s.action.node for s in grey.steps if isinstance(s.action, GiveOrder)}
        self._act("grey", grey)
        if isinstance(control.dcs, Dcs):
            recovery, m.recovery = decide_recovery(self.spec, cluster, control.dcs, m.recovery, now)
            self._act("recovery", _without(recovery, busy))
            compare, m.reconcile = decide_reconcile(self.spec, control.dcs, m.reconcile, now)
            self._act("reconcile", _without(compare, busy))
            at = decide_scheduled(self.spec, cluster, control.dcs, self.clock.wall())
            self.handover.asked(self._act("switchover", at), now)
        place, m.control = decide_control(self.spec, control, m.control, now)
        self._act("control", place)
        with contextlib.suppress(Unreachable):  # whoever needs one then asks for it
            self.hands.hours.prepare()

    def _act(self, about: str, plan: Plan) -> list[Outcome]:
        """Each step by itself: they are of different nodes, and rest on nothing before them."""
        told(self.log, about, plan, holding=True)
        outcomes: list[Outcome] = []
        for step in plan.steps:
            done = execute(dataclasses.replace(plan, steps=(step,)), self.hands)
            report(self.log, done)
            outcomes += done
        return outcomes

    def _publish(self, control: ControlView, seen: tuple[ClusterView, float] | None, now: float) -> None:
        dcs = control.dcs if isinstance(control.dcs, Dcs) else None
        archives = self.archives()
        view = _joined(seen[0], control, archives) if seen else None
        totals, head, last = self.totals()
        told_of = self._heard(view)
        self.board.publish(
            Snapshot(
                at=now,
                me=control.me,
                holding=control.holding,
                control=control,
                view=view,
                view_at=seen[1] if seen else None,
                findings=None if told_of is None else told_of.verdict.findings,
                muted=() if told_of is None else tuple(found for found, _ in told_of.muted),
                totals=totals,
                journal_head=head,
                incident=_incident(dcs),
                last_failover=last,
                archive_breakers=archives.breakers,
            )
        )

    def _heard(self, view: ClusterView | None) -> Heard | None:
        """What is found, and who wants to hear of it. A mute that got worse is taken away."""
        if view is None:
            return None
        found = judge(self.spec, view)
        what = sorted({(f.code.name, f.subject) for f in found.findings})
        self.log.changed(
            "findings", what, "findings", findings=[f"{code} {subject}" for code, subject in what]
        )
        dcs = view.control if isinstance(view.control, Dcs) else None
        result = heard(found, dcs.mutes if dcs else ())
        for mute in result.worse:
            with contextlib.suppress(Unreachable, Refused):  # the next tick tries again
                mutes.end(mute, self.hands)
        return result


def _joined(view: ClusterView, control: ControlView, archives: ArchivesSeen = _NONE_SEEN) -> ClusterView:
    """With hactl's own keys, which are fresher than the slow look, and with what the archive's loop sees."""
    nodes = {**view.archives, **archives.views}
    return dataclasses.replace(view, control=control.dcs, heartbeat=control.heartbeat, archives=nodes)


def _without(plan: Plan, busy: set[str]) -> Plan:
    """One order for a node and tick: the others are asked for again."""
    steps = tuple(s for s in plan.steps if not (isinstance(s.action, GiveOrder) and s.action.node in busy))
    return dataclasses.replace(plan, steps=steps)


def _incident(dcs: Dcs | None) -> Incident | None:
    try:
        return parse_incident(dcs.incident) if dcs and dcs.incident else None
    except ValueError:
        return None
