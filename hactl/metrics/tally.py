"""Counts out of the journal, so that they outlive processes and go on when another controller takes over."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from hactl.metrics.snapshot import Totals
from hactl.view.control_text import read_incident
from hactl.view.history import OPENS, incidents
from hactl.view.incident import Incident, Phase
from hactl.view.journal import Kind, Record
from hactl.view.parse.fields import mapping

REASONS: Final = ("lost", "grey", "asked")  # of a failover: all there are, each counted from zero
_KEPT: Final = 500  # records of one incident; it has some thirty


def reason(incident: Incident) -> str:
    """`asked`: by an operator; `grey`: it answered and did not serve; `lost`: it did not answer."""
    if not incident.automatic:
        return "asked"
    return "grey" if incident.details.get("grey") else "lost"


class Tally:
    """Takes the journal's records in their order, each once; what came before is ignored. Thread-safe."""

    def __init__(self, databases: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._head = 0
        self._failovers = Counter(dict.fromkeys(REASONS, 0))
        self._fences = Counter(dict.fromkeys(databases, 0))
        self._recovery: Counter[tuple[str, str]] = Counter()
        self._intents: dict[int, Record] = {}  # without a result so far
        self._incident: Incident | None = None  # the one that the newest records are of
        self._records: list[Record] = []  # of that incident
        self._last: Incident | None = None

    def add(self, records: Iterable[Record]) -> None:
        with self._lock:
            for record in records:
                if record.seq > self._head:
                    self._head = record.seq
                    self._take(record)

    def read(self) -> tuple[Totals | None, int | None, Incident | None]:
        """The counts, the number of the newest record, and the last failover. None: nothing read yet."""
        with self._lock:
            if self._head == 0:
                return None, None, None
            totals = Totals(dict(self._failovers), dict(self._fences), dict(self._recovery))
            return totals, self._head, self._last

    def _take(self, record: Record) -> None:
        if record.kind is Kind.INTENT:
            self._intents[record.seq] = record
            if record.action == OPENS and (incident := _incident(record.data)):
                self._incident, self._records = incident, []
        elif record.kind is Kind.EVENT and record.action == OPENS and (asked := _incident(record.data)):
            again = self._incident is not None and self._incident.id == asked.id  # it went on from its fence
            self._fences[asked.victim] += 0 if again else 1
            self._incident, self._records = asked, []
        elif record.kind is Kind.RESULT and (intent := self._intents.pop(record.of, None)):
            self._result(intent, ok=record.data.get("ok") is True)
        self._follow(record)

    def _result(self, intent: Record, *, ok: bool) -> None:
        if intent.action == OPENS and ok and (incident := _incident(intent.data)):
            self._fences[incident.victim] += 1
        rung = "reinit" if intent.action == "reinitialize" else str(intent.data.get("rung") or "")
        if rung:
            self._recovery[rung, "done" if ok else "failed"] += 1

    def _follow(self, record: Record) -> None:
        """The incident's own records: a failover counts when its first commit is seen."""
        incident = self._incident
        if incident is None or record.incident != incident.id or len(self._records) >= _KEPT:
            return
        self._records.append(record)
        found = next((i for i in incidents(self._records) if i.id == incident.id), None)
        if found is None or found.reached(Phase.FIRST_COMMIT) is None:
            return
        if self._last is None or self._last.id != found.id:
            self._failovers[reason(found)] += 1
        self._last = found


def _incident(data: Mapping[str, object]) -> Incident | None:
    try:
        return read_incident(mapping(data.get("incident"), "incident"))
    except ValueError:
        return None
