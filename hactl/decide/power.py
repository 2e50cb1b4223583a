"""The victim's power: what hactl itself switched off, it switches on again when the service is back.

A node that was found off is left so: whoever switched it off may have had a reason. No `off` may be under way
when `on` is sent, or the node would be cut again while it boots.
"""

from __future__ import annotations

from dataclasses import dataclass

from hactl.decide import limits
from hactl.decide.memory import Course, FailoverMemory
from hactl.view.control import ControlView, FenceRun
from hactl.view.incident import Incident, Phase


@dataclass(frozen=True)
class Power:
    """What is known of the victim's power. `cut`, `on`: this controller's own fence agents, of this epoch."""

    incident: Incident
    cut: FenceRun | None
    on: FenceRun | None
    course: Course
    memory: FailoverMemory
    now: float

    @property
    def ours(self) -> bool:
        """Switched off by hactl, or about to be: the fence agent read `on`, and was told `off`."""
        return self.incident.switched_off or self.incident.power_tries > 0 or _was_on(self.cut)

    @property
    def works(self) -> bool:
        return self.on is not None and not self.on.ended

    @property
    def back(self) -> bool:
        return self.on is not None and self.on.ended and self.on.power == "on"

    @property
    def owed(self) -> bool:
        """It is ours, it is not on again yet, and there is a try left or at work."""
        if not self.ours or self.incident.reached(Phase.POWERED_ON) is not None:
            return False
        return self.works or self.back or self.incident.power_tries < limits.POWER_TRIES

    @property
    def given_up(self) -> bool:
        over = self.incident.power_tries >= limits.POWER_TRIES and not self.works and not self.back
        return over and self.incident.reached(Phase.POWERED_ON) is None

    @property
    def holds_fence(self) -> bool:
        """The node's own word that PostgreSQL is stopped may be older than the cut: then it is off.

        Its fence is what makes `on` safe. Without a commit this waits for a while only.
        """
        gone = self.course.since if self.course.gone is None else self.course.gone
        return self.owed and (self._served or self.now - gone < limits.CLOSE)

    @property
    def due(self) -> bool:
        """It may be switched on now."""
        return (
            self.owed and self._served and not self.works and not self.back and self._quiet and self._rested
        )

    @property
    def _served(self) -> bool:
        return self.incident.reached(Phase.FIRST_COMMIT) is not None

    @property
    def _quiet(self) -> bool:
        """No `off` is under way: ours has ended, and if another one may have started one, so has that."""
        opening, held = self.memory.opening, self.memory.held_since
        alone = (
            opening is not None and opening.epoch == self.incident.epoch
            and held is not None and held <= opening.at
        )  # fmt: skip
        if self.cut is not None and not self.cut.ended:
            return False
        return alone or (self.course.gone is not None and self.now - self.course.gone >= limits.FENCE_ENDS)

    @property
    def _rested(self) -> bool:
        if self.incident.power_tries == 0:
            return True
        before = self.course.since if self.on is None else self.on.started
        return self.now - before >= limits.POWER_RETRY


def look(incident: Incident, view: ControlView, course: Course, memory: FailoverMemory, now: float) -> Power:
    cut, on = (_of(runs.get(incident.victim), incident) for runs in (view.fence_runs, view.power_ons))
    return Power(incident, cut, on, course, memory, now)


def switched(run: FenceRun | None) -> bool:
    """Whether this run switched the node off, and has read so."""
    return run is not None and _was_on(run) and run.power == "off"


def _was_on(run: FenceRun | None) -> bool:
    return run is not None and run.was_on is True


def _of(run: FenceRun | None, incident: Incident) -> FenceRun | None:
    return run if run is not None and run.epoch == incident.epoch else None
