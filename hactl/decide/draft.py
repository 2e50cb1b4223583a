"""A plan in the making: a step that was asked for a moment ago is not asked for again before its time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hactl.decide import limits
from hactl.decide.memory import FailoverMemory
from hactl.decide.plan import Action, Plan, Step, Veto

_KEPT = 120.0  # seconds; longer than any pause between two tries


@dataclass
class Draft:
    """Built by one call of a decision, never kept. `memory` goes out with the plan."""

    memory: FailoverMemory
    now: float
    steps: list[Step] = field(default_factory=list)
    vetoes: list[Veto] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)

    def step(self, key: str, action: Action, reason: str, every: float = limits.RETRY) -> bool:
        """Adds the step unless `key` was asked for less than `every` seconds ago."""
        last = self.memory.asked.get(key)
        if last is not None and self.now - last < every:
            return False
        asked = {k: at for k, at in self.memory.asked.items() if self.now - at < _KEPT}
        self.memory = replace(self.memory, asked={**asked, key: self.now})
        self.steps.append(Step(action, reason))
        return True

    def done(self) -> tuple[Plan, FailoverMemory]:
        plan = Plan(tuple(self.steps), tuple(self.vetoes), tuple(self.reasons), tuple(self.alarms))
        return plan, self.memory
