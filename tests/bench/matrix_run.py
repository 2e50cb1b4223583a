"""One trial of the matrix in the lab: as `hactl drill run` does it, with a second fault or a switchover."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from hactl.act import switchover as acts
from hactl.cli import node_common, switchover
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.drill_place import LabPlace
from hactl.cli.drill_run import AFTER, Drill, vetoes
from hactl.decide.switchover import may_switch
from hactl.drill.history import Mark
from hactl.drill.needless import moved
from hactl.drill.record import brief
from hactl.drill.scenarios import Scenario, others, struck
from hactl.errors import HactlError, Refused
from hactl.lab.lab import Lab
from hactl.lab.machine import Power
from tests.bench.matrix_plan import Nodes, Trial, Way, expected, named
from tests.support import control

FIT_WITHIN: Final = 240.0  # seconds until nothing stands against the next fault
ASKED_WITHIN: Final = 60.0  # seconds until Patroni is asked for a switchover: checkpoints come before
SWITCHED_WITHIN: Final = 180.0
NONE: Final = Trial(0, Way.ALONE, "")


@dataclass
class Strikes(Drill):
    """A drill whose faults are a trial's. `undone`: what of it could not be done, in sentences."""

    place: LabPlace
    trial: Trial = NONE
    undone: list[str] = field(default_factory=list)

    def _prepared(self, held: ExitStack) -> None:
        super()._prepared(held)
        second = named(self.trial.second).first if self.trial.second else ()
        for kind in set(second) - set(self.scenario.first):
            held.enter_context(self.place.injected(kind, self.node, ""))
            self._redundant()

    def _struck(self) -> None:
        if self.trial.way is Way.ALONE:
            super()._struck()
        elif self.trial.way is Way.REJOIN:
            self._rejoin()
        elif self.trial.way is Way.SWITCHOVER:
            with self._switching():
                time.sleep(self.trial.gap)
                super()._struck()
        else:
            self._pair()

    def _pair(self) -> None:
        second = named(self.trial.second)
        with ExitStack() as held, ExitStack() as also:
            first = self._first(held)
            time.sleep(max(0.0, first.begin + self.trial.gap - time.monotonic()))
            last = self._second(also, second)
            if not self.scenario.away:
                self._recovered(last or first)
            self._hold(last or first, max(self.scenario.hold, second.hold))
            heals = [(held, self.node), (also, last.node if last else "")]
            if self.trial.between < 0:
                heals.reverse()
            for wait, (stack, node) in zip((0.0, abs(self.trial.between)), heals, strict=True):
                time.sleep(wait)
                healed = self.session.heal(node, stack.close, self.scenario.name)
        if self.scenario.away:
            self._recovered(healed)

    def _rejoin(self) -> None:
        second = named(self.trial.second)
        with ExitStack() as held, ExitStack() as also:
            first = self._first(held)
            self._recovered(first)
            self._hold(first, self.scenario.hold)
            healed = self.session.heal(self.node, held.close, self.trial.first)
            time.sleep(self.trial.gap)
            last = self._second(also, second)
            if last and not self.scenario.away:
                self._recovered(last)
            self._hold(last or healed, second.hold)
            healed = self.session.heal(last.node if last else "", also.close, self.trial.second)
        if self.scenario.away:
            self._recovered(healed)

    def _hold(self, mark: Mark, seconds: float) -> None:
        time.sleep(max(AFTER, mark.begin + seconds - time.monotonic()))

    def _first(self, held: ExitStack) -> Mark:
        scenario = named(self.trial.first)
        return self.session.fault(self.node, lambda: self.strike(held, scenario, self.node), self.trial.first)

    def _second(self, held: ExitStack, scenario: Scenario) -> Mark | None:
        """Whoever has the role by now. None: nobody has, or what should break does not run there any more."""
        try:
            node = self._holder(scenario)
            return self.session.fault(node, lambda: self.strike(held, scenario, node), self.trial.second)
        except HactlError as error:
            self.undone.append(f"{self.trial.second}: {error.message}")
            self.history.note(f"not struck: {self.undone[-1]}")
            return None

    def _holder(self, scenario: Scenario) -> str:
        status = self.status()
        databases = tuple(self.context.spec.databases)
        base = status.get("database")
        primary = str(base.get("primary") or "") if isinstance(base, dict) else ""
        primary = primary or others(databases, self.node)
        node = struck(scenario.role, status, primary, databases)
        if not node or self.place.lab.machine(node).power() is not Power.ON:
            raise Refused(f"{node or 'nobody'} has the role, and is not on")
        return node

    @contextmanager
    def _switching(self) -> Iterator[None]:
        """Inside, Patroni has just been asked. Where it leads to the verdict says; the error is noted."""
        asked = threading.Event()
        thread = threading.Thread(target=self._switch, args=(asked,), name="switchover", daemon=True)
        thread.start()
        if not asked.wait(ASKED_WITHIN):
            self.undone.append("switchover: Patroni was not asked in time")
        try:
            yield
        finally:
            thread.join(SWITCHED_WITHIN)

    def _switch(self, asked: threading.Event) -> None:
        try:
            switch = may_switch(self.context.spec, by_hand.look(self.context))
            if switch.vetoes:
                raise Refused("no switchover", by_hand.sentences(switch.vetoes))
            means = switchover.means_of(self.context, switch)

            def ask() -> None:
                asked.set()
                means.ask()

            about = {"from": switch.primary, "to": switch.target, "reason": self.reason}
            with node_common.journaled(self.who, "switchover", about, go_on="", cut="") as result:
                result["outage"] = round(acts.switch(replace(means, ask=ask), switch.target).outage, 3)
        except HactlError as error:
            self.undone.append(f"switchover: {error.message}")
        finally:
            asked.set()


def run(lab: Lab, context: Context, trial: Trial, kept: Path) -> dict[str, Any]:
    """The record, as plain data. Raises HactlError: the trial could not be judged; everything is healed."""
    control.forget_limits(lab)
    spec = context.spec
    scenario = expected(trial, Nodes(tuple(spec.databases), tuple(spec.witnesses), tuple(spec.archives)))
    fit(context, scenario)
    begin = time.monotonic()
    with by_hand.operating(context, f"drill {scenario.name}", "matrix") as who:
        drill = Strikes(context, LabPlace(context), scenario, who, f"matrix: {trial.name}", kept, trial)
        found = brief(drill.run())
    return {
        **found, "seconds": round(time.monotonic() - begin, 1), "undone": drill.undone,
        "dual": sum("both writable" in f for f in found["findings"] if f.startswith("I1:")),
        "moves": list(moved(drill.history.snapshot())), "history": drill.history.path.name,
    }  # fmt: skip


def fit(context: Context, scenario: Scenario, within: float = FIT_WITHIN) -> None:
    """Waits until nothing stands against a fault. Raises Refused with what does."""
    deadline = time.monotonic() + within
    while True:
        against = ["nobody answers"]
        with contextlib.suppress(HactlError):
            against = vetoes(context, [scenario])
        if not against:
            return
        if time.monotonic() >= deadline:
            raise Refused(f"not fit for a fault within {within:g} s", against, hint="hactl status")
        time.sleep(1)
