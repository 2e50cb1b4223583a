"""Whether somebody waits for the next commit: then the heartbeat is quick."""

from __future__ import annotations

from typing import Final

from hactl.controller.samples import Samples
from hactl.ports import Clock
from hactl.view.control import Dcs
from hactl.view.control_text import parse_incident
from hactl.view.incident import Phase

LONGEST: Final = 60.0  # an outage that lasts longer is no matter of tenths


class Haste:
    """True while an incident waits for its first commit, for a minute at most. One thread asks."""

    def __init__(self, samples: Samples, clock: Clock) -> None:
        self._samples, self._clock = samples, clock
        self._id, self._since = "", 0.0

    def __call__(self) -> bool:
        dcs = self._samples.view("", holding=False).dcs
        if not isinstance(dcs, Dcs) or dcs.incident is None:
            return False
        try:
            incident = parse_incident(dcs.incident)
        except ValueError:
            return False
        now = self._clock.monotonic()
        if incident.id != self._id:
            self._id, self._since = incident.id, now
        return incident.reached(Phase.FIRST_COMMIT) is None and now - self._since < LONGEST
