"""What a victim alone had goes into the journal: its own facts tell of its newest ledger, while it runs."""

from __future__ import annotations

from collections.abc import Mapping

from hactl.adapters.events import EventLog
from hactl.errors import HactlError
from hactl.ports import Journal
from hactl.view.control import Dcs
from hactl.view.control_text import parse_incident
from hactl.view.history import COUNTED, of_incident
from hactl.view.incident import Incident


class Ledgers:
    """Each state of the victim's ledger once, until the next incident opens.

    A ledger is told after its node's rewind began, and an incident closes when that node streams again: so it
    is there in time, but for a node whose agent speaks late. That one is listened to after the end, too.
    """

    def __init__(self, journal: Journal, log: EventLog) -> None:
        self._journal, self._log = journal, log
        self._of: Incident | None = None
        self._written: Mapping[str, object] = {}

    def look(self, dcs: Dcs) -> None:
        """Only while this controller is active. Never raises: what could not be written is tried again."""
        self._follow(dcs)
        incident = self._of
        facts = dcs.facts.get(incident.victim) if incident else None
        if incident is None or facts is None or facts.ledger == self._written:
            return
        if not of_incident(facts.ledger, incident):
            return
        try:
            self._journal.event(COUNTED, incident=incident.id, epoch=incident.epoch, data=facts.ledger)
        except HactlError as error:
            self._log.changed("ledger", error.message, "a ledger is not in the journal", why=error.message)
            return
        self._written = dict(facts.ledger)

    def forget(self) -> None:
        """Another controller may be active from now on."""
        self._of, self._written = None, {}

    def _follow(self, dcs: Dcs) -> None:
        if dcs.incident is None:
            return
        try:
            found = parse_incident(dcs.incident)
        except ValueError:  # the fast loop says so
            return
        if self._of is None or found.id != self._of.id:
            self._written = {}
        self._of = found
