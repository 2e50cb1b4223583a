"""A failover that a person ordered, as an incident in the journal: what `hactl incident show` tells of it.

The key of the open incident in etcd stays the controller's: with one there it would go on with it by itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping

from hactl.act import maintenance
from hactl.act.maintenance import Operator, now_text
from hactl.errors import HactlError
from hactl.view.control_text import incident_object, stamp_object
from hactl.view.history import CLOSES, OPENS
from hactl.view.incident import Incident, Phase, Stamp


class Story:
    """Stamps are taken at once and written when there is time: nobody waits for it while nobody serves."""

    def __init__(self, operator: Operator, incident: Incident) -> None:
        self._operator, self.incident = operator, incident
        self._opened = False
        self._unwritten: list[Stamp] = []

    def mark(self, phase: Phase, node: str, evidence: str) -> None:
        if self.incident.reached(phase) is not None:
            return
        me, clock = self._operator.machine, self._operator.clock
        at, wall = int(clock.monotonic() * 1000), now_text(clock.wall())
        stamp = Stamp(phase, node, at, wall, evidence, me)
        self.incident = dataclasses.replace(self.incident, stamps=(*self.incident.stamps, stamp))
        self._unwritten.append(stamp)

    def write(self) -> None:
        """What is not written yet. Raises nothing: it is tried again with the next one, or at the end."""
        with contextlib.suppress(HactlError):
            if not self._opened:
                self._note(OPENS, {"incident": incident_object(self.incident)})
                self._opened, self._unwritten = True, []
            while self._unwritten:
                self._note("mark", stamp_object(self._unwritten[0]))
                self._unwritten.pop(0)

    def close(self, outcome: str, details: Mapping[str, object]) -> None:
        """With all stamps, so that none is missing. Where nothing was begun there is nothing to tell."""
        if not self.incident.stamps:
            return
        self.write()
        whole = {**self.incident.details, **details}
        closed = dataclasses.replace(self.incident, outcome=outcome, details=whole)
        with contextlib.suppress(HactlError):
            self._note(CLOSES, {"incident": incident_object(closed)})

    def _note(self, action: str, data: Mapping[str, object]) -> None:
        about = self.incident
        maintenance.note(self._operator, action, data, incident=about.id, epoch=about.epoch)


@contextlib.contextmanager
def told(story: Story) -> Iterator[dict[str, object]]:
    """An incident that ends, however its block does. The block gives `outcome`, and details besides."""
    details: dict[str, object] = {}
    said = "interrupted: the same command goes on"
    try:
        yield details
        said = str(details.pop("outcome", "ended"))
    except HactlError as error:
        said = f"not ended: {error.message}"
        raise
    finally:
        story.close(said, details)
