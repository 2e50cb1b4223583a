"""What the journal tells: incidents with their phases, and acts with what became of them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hactl.view.control_text import parse_incident, read_incident
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.journal import Kind, Record
from hactl.view.parse.fields import mapping, number

OPENS, CLOSES = "open-incident", "close-incident"  # the controller's acts; of a person's failover: events
ANSWERED = "order-answered"  # an event: what an agent said to an order, by the order's id
COUNTED = "lost-commits"  # an event: an incident's ledger, as the victim's facts told it


@dataclass(frozen=True)
class Act:
    """An intent with its result. `ok` is None when nobody knows, or not yet.

    `answer`: of an order, what the agent said when it had done it, or could not.
    """

    intent: Record
    result: Record | None = None
    answer: Record | None = None

    @property
    def ok(self) -> bool | None:
        last = self.answer or self.result
        ok = last.data.get("ok") if last else None
        return ok if isinstance(ok, bool) else None

    @property
    def said(self) -> str:
        said = str(self.result.data.get("said", "")) if self.result else "no result yet"
        return f"{said}; its agent: {self.answer.data.get('said', '')}" if self.answer else said

    @property
    def took_ms(self) -> int | None:
        last = self.answer or self.result
        if last is None or last.boot != self.intent.boot:
            return None
        return last.mono_ms - self.intent.mono_ms

    @property
    def reason(self) -> str:
        return str(self.intent.data.get("reason", ""))


@dataclass(frozen=True)
class Moment:
    """A phase of an incident. `since_ms`: from the first one; None: not tellable.

    `exact`: by one node's monotonic clock. Otherwise another controller took over in between, and it is the
    difference of two wall clocks, which NTP keeps together.
    """

    stamp: Stamp
    since_ms: int | None
    exact: bool


def acts(records: Sequence[Record]) -> tuple[Act, ...]:
    """In the order in which they were announced."""
    results = {r.of: r for r in records if r.kind is Kind.RESULT}
    events = (r for r in records if r.kind is Kind.EVENT and r.action == ANSWERED)
    answers = {str(r.data.get("order")): r for r in events}
    return tuple(_act(r, results.get(r.seq), answers) for r in records if r.kind is Kind.INTENT)


def _act(intent: Record, result: Record | None, answers: Mapping[str, Record]) -> Act:
    order = result.data.get("order") if result else None
    return Act(intent, result, answers.get(order) if isinstance(order, str) else None)


def incidents(records: Sequence[Record], open_: str | None = None) -> tuple[Incident, ...]:
    """Oldest first; refused ones are none. `open_`: the incident key's text, newer than the journal."""
    announced: dict[str, Incident] = {}
    found: dict[str, Incident] = {}
    opened = {a.intent.seq for a in acts(records) if a.ok}
    for record in records:
        incident = _whole(record)
        if record.kind is Kind.INTENT and record.action == OPENS and incident:
            (found if record.seq in opened else announced)[incident.id] = incident
        elif incident and (record.kind is Kind.RESULT or _by_hand(record)):
            found[incident.id] = incident
        elif stamp := _stamp(record):
            _mark(record.incident, stamp, found, announced)
    if open_ is not None and (now := _parsed(open_)):
        found[now.id] = now
    return tuple(found.values())


def _by_hand(record: Record) -> bool:
    return record.kind is Kind.EVENT and record.action in {OPENS, CLOSES}


def _whole(record: Record) -> Incident | None:
    try:
        return read_incident(mapping(record.data.get("incident"), "incident"))
    except ValueError:
        return None


def _parsed(text: str) -> Incident | None:
    try:
        return parse_incident(text)
    except ValueError:
        return None


def _stamp(record: Record) -> Stamp | None:
    if record.kind is not Kind.EVENT or record.action != "mark":
        return None
    data = record.data
    try:
        phase = Phase(str(data.get("phase")))
    except ValueError:
        return None
    at = number(data.get("mono_ms"))
    node, wall = str(data.get("node", record.node)), str(data.get("wall", record.wall))
    evidence, by = str(data.get("evidence", "")), str(data.get("by", record.node))
    return Stamp(phase, node, record.mono_ms if at is None else at, wall, evidence, by)


def _mark(id_: str, stamp: Stamp, found: dict[str, Incident], announced: dict[str, Incident]) -> None:
    """A mark also proves that an opening whose result was lost has happened."""
    incident = found.get(id_) or announced.get(id_)
    if incident is not None:
        known = incident.reached(stamp.phase)
        stamps = incident.stamps if known else (*incident.stamps, stamp)
        found[id_] = dataclasses.replace(incident, stamps=stamps)


def belonging(records: Sequence[Record], incident: Incident) -> tuple[Act, ...]:
    """The acts of an incident: by its id, or by the epoch of its fence."""
    return tuple(a for a in acts(records) if belongs(a.intent, incident))


def belongs(record: Record, incident: Incident) -> bool:
    if record.incident:
        return record.incident == incident.id
    return record.epoch != 0 and record.epoch == incident.epoch


def timeline(incident: Incident) -> tuple[Moment, ...]:
    """The phases in the order of their times."""
    if not incident.stamps:
        return ()
    first = incident.stamps[0]
    moments = [_moment(first, stamp) for stamp in incident.stamps]
    return tuple(sorted(moments, key=lambda m: m.since_ms if m.since_ms is not None else 0))


def _moment(first: Stamp, stamp: Stamp) -> Moment:
    since = stamp.mono_ms - first.mono_ms
    if stamp.clock == first.clock and since >= 0:  # less than 0: its node was booted in between
        return Moment(stamp, since, exact=True)
    try:
        took = dt.datetime.fromisoformat(stamp.wall) - dt.datetime.fromisoformat(first.wall)
    except (ValueError, TypeError):
        return Moment(stamp, None, exact=False)
    return Moment(stamp, max(0, round(took.total_seconds() * 1000)), exact=False)


def of_incident(ledger: Mapping[str, object], incident: Incident) -> bool:
    """Whether it was written after this incident began: an older one is of the failover before."""
    try:
        written = dt.datetime.fromisoformat(str(ledger.get("at", "")))
        return written >= dt.datetime.fromisoformat(incident.stamps[0].wall)
    except (ValueError, TypeError, IndexError):
        return False


def counted(records: Sequence[Record], incident: Incident) -> Mapping[str, object] | None:
    """The newest that the journal has of an incident; None: none, or not yet."""
    own = [r.data for r in records if r.action == COUNTED and r.incident == incident.id]
    return own[-1] if own else None
