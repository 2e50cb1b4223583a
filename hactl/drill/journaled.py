"""hactl's journal as a history keeps it: acts of this drill, in its own clock's seconds.

A record's monotonic clock is its writer's. In the lab all machines have one kernel: it is the history's too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hactl.drill.history import Event, Journaled, Look
from hactl.view.control_text import read_incident
from hactl.view.history import Act, acts
from hactl.view.incident import Incident
from hactl.view.journal import Entry, Record, parse_lines, records
from hactl.view.parse.fields import mapping


@dataclass(frozen=True)
class Journal:
    """`entries` begin with the last record before the drill: the chain is checked from it on."""

    entries: tuple[Entry, ...]
    until: float  # seconds: what was announced later than the watches ended is nobody's business

    @property
    def records(self) -> list[Record]:
        return records(list(self.entries))

    @property
    def acts(self) -> tuple[Act, ...]:
        """Announced during the drill."""
        own = self.records
        first = own[0].seq if own else 0
        return tuple(a for a in acts(own) if a.intent.seq > first and at(a.intent) <= self.until)


def journal(events: Sequence[Event]) -> Journal | None:
    """None: the history has none."""
    found = next((e for e in events if isinstance(e, Journaled)), None)
    if found is None:
        return None
    until = max((e.at for e in events if isinstance(e, Look)), default=float("inf"))
    return Journal(tuple(parse_lines(list(found.lines))), until)


def at(record: Record) -> float:
    return record.mono_ms / 1000


def node_of(act: Act) -> str:
    """The node that an act is about; empty where there is none."""
    data = act.intent.data
    incident = opened(data)
    if incident:
        return incident.victim
    within = data.get("intent")
    named = mapping(within, "intent").get("node") if isinstance(within, dict) else None
    return str(data.get("node") or named or data.get("standby") or data.get("to") or "")


def opened(data: Mapping[str, object]) -> Incident | None:
    try:
        return read_incident(mapping(data.get("incident"), "incident"))
    except ValueError:
        return None
