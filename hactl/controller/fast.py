"""The fast loop: decides from the latest samples each 0.1 s, or at once when something new came."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from hactl.act.hands import Hands
from hactl.act.run import execute, kind
from hactl.adapters.events import EventLog
from hactl.controller.mirror import Mirror
from hactl.controller.samples import Samples
from hactl.decide.failover import FailoverMemory, decide_failover, noted
from hactl.decide.plan import Outcome, Plan
from hactl.errors import HactlError
from hactl.metrics.instruments import Instruments
from hactl.ports import Clock
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView
from hactl.view.model import Unknown

EVERY: Final = 0.1
LEAST: Final = 0.02  # between two rounds, however much is new
EVERY_STANDING_BY: Final = 0.5
DOUBT: Final = 2  # misses in a row, on as many paths


@dataclass
class FastLoop:
    """`round` asks nobody: it takes samples. What it then does has a deadline at each step."""

    spec: ClusterSpec
    samples: Samples
    mirror: Mirror
    hands: Hands
    clock: Clock
    log: EventLog
    instruments: Instruments
    prepare: Callable[[Collection[str]], None]
    begin: Callable[[], None]  # the journal's, for whoever has just become active
    held: bool = False
    memory: FailoverMemory = field(default_factory=FailoverMemory)

    def round(self) -> tuple[Outcome, ...]:
        began = self.clock.monotonic()
        view = self.samples.view(self.hands.me, holding=self.hands.claim() is not None)
        if view.holding and not self.held:
            self._begin()
        self.held = view.holding
        # Asked for after the view: a renewal that it shows must not count as seen before it was made.
        now = self.clock.monotonic()
        plan, self.memory = decide_failover(self.spec, view, self.memory, now)
        told(self.log, "failover", plan, view.holding)
        self.prepare(_doubted(view))
        outcomes: tuple[Outcome, ...] = ()
        if plan.steps:
            outcomes = execute(plan, self.hands)
            self.memory = noted(self.memory, outcomes)
            report(self.log, outcomes)
            self.mirror.look()  # what was done is seen before anything else is decided
        self.instruments.tick("fast", self.clock.monotonic() - began)
        return outcomes

    def _begin(self) -> None:
        try:
            self.begin()
        except HactlError as error:  # the first intent tries again
            self.log.say("the journal's head is not known yet", why=error.message)

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        while not stop.is_set():
            self.samples.changed.clear()
            self.round()
            beat()
            stop.wait(LEAST)
            holding = self.hands.claim() is not None
            self.samples.changed.wait(EVERY if holding else EVERY_STANDING_BY)


def _doubted(view: ControlView) -> tuple[str, ...]:
    """The primary, if it is half way to being suspected and we would be the ones to act."""
    if not view.holding or isinstance(view.dcs, Unknown) or view.dcs.patroni.leader is None:
        return ()
    node = view.dcs.patroni.leader.node
    silent = sum(state.misses >= DOUBT for state in view.paths.get(node, {}).values())
    return (node,) if silent >= DOUBT else ()


def told(log: EventLog, who: str, plan: Plan, holding: bool) -> None:  # noqa: FBT001 - part of what is told
    """One event for each changed decision: steps, vetoes and alarms, not the ages in their sentences."""
    what = (
        holding,
        tuple(kind(s.action) for s in plan.steps),
        tuple(v.code for v in plan.vetoes),
        tuple(a.split(":")[0] for a in plan.alarms),
    )
    log.changed(
        who, what, "decision", about=who, holding=holding,
        steps=[{"action": kind(s.action), "reason": s.reason} for s in plan.steps],
        vetoes=[{"code": v.code, "why": v.why, "evidence": v.evidence} for v in plan.vetoes],
        alarms=list(plan.alarms),
    )  # fmt: skip


def report(log: EventLog, outcomes: tuple[Outcome, ...]) -> None:
    for outcome in outcomes:
        log.say(
            "act", action=kind(outcome.action), done=outcome.done, said=outcome.said,
            took_ms=round((outcome.at - outcome.asked) * 1000),
        )  # fmt: skip
