"""Archive nodes' keys in etcd as JSON, both ways."""

from __future__ import annotations

from hactl.view.archive import (
    NOT_RUN,
    STEPS,
    ArchiveFacts,
    ArchiveMark,
    ArchiveState,
    Drain,
    DrainBy,
    EndToEnd,
)
from hactl.view.control_text import compact
from hactl.view.model import Probe, State, Unknown
from hactl.view.parse.fields import Json, document, mapping, number


def drain_text(drain: Drain) -> str:
    within = {} if drain.within is None else {"within": drain.within}
    return compact({
        "by": str(drain.by), "why": drain.why, "since": drain.since, "force": drain.force, **within,
    })  # fmt: skip


def parse_drain(node: str, value: str) -> Drain:
    """Never raises: whatever the key says, somebody wants this node out of the VIP."""
    try:
        found = mapping(document(value.encode(), "drain"), "drain")
    except ValueError:
        return Drain(node, DrainBy.OPERATOR, "a drain that cannot be read")
    by = found.get("by")
    return Drain(
        node=node,
        by=DrainBy(by) if by in tuple(DrainBy) else DrainBy.OPERATOR,
        why=str(found.get("why", "")),
        since=str(found.get("since", "")),
        force=found.get("force") is True,
        within=_seconds(found.get("within")),
    )


def mark_text(mark: ArchiveMark) -> str:
    return compact({"state": str(mark.state), "why": mark.why, "rung": mark.rung, "since": mark.since})


def parse_mark(value: str) -> ArchiveMark:
    """Raises ValueError: not a mark."""
    found = mapping(document(value.encode(), "archive state"), "archive state")
    return ArchiveMark(
        ArchiveState(str(found.get("state"))), str(found.get("why", "")), str(found.get("rung", "")),
        str(found.get("since", "")),
    )  # fmt: skip


def facts_object(facts: ArchiveFacts | None) -> dict[str, object] | None:
    if facts is None:
        return None
    return {
        "room": [str(facts.room.state), facts.room.why], "write": [str(facts.write.state), facts.write.why],
        "refusing": facts.refusing, "out": facts.out, "out_for": facts.out_for,
        "associations": facts.associations, "last_check": _check_object(facts.last_check),
    }  # fmt: skip


def read_facts(value: object) -> ArchiveFacts | None:
    """None: not an archive node's. Fields that are missing keep what they are without a look.

    Raises:
        ValueError: not an archive node's facts.

    """
    if value is None:
        return None
    found = mapping(value, "facts: archive")
    return ArchiveFacts(
        room=_probe(found.get("room")),
        write=_probe(found.get("write")),
        refusing=found.get("refusing") is True,
        out=found.get("out") is True,
        out_for=str(found.get("out_for") or ""),
        associations=number(found.get("associations")),
        last_check=read_check(found.get("last_check")),
    )


def _check_object(check: EndToEnd | Unknown) -> dict[str, object]:
    return {"unknown": check.why} if isinstance(check, Unknown) else check_object(check)


def check_object(check: EndToEnd) -> dict[str, object]:
    """An end-to-end check's result, as `hactl archive probe --json` prints it too."""
    return {
        "ok": check.ok, "at": round(check.at, 3), "why": check.why, "leftovers": check.leftovers,
        "took": {step: round(check.took[step], 4) for step in STEPS if step in check.took},
    }  # fmt: skip


def read_check(value: object) -> EndToEnd | Unknown:
    """Raises ValueError: neither a result nor the reason why there is none."""
    if value is None:
        return NOT_RUN
    found = mapping(value, "end-to-end check")
    if "ok" not in found:
        return Unknown(str(found.get("unknown", "not told")))
    took = mapping(found.get("took") or {}, "end-to-end check: took")
    return EndToEnd(
        ok=found["ok"] is True,
        at=_seconds(found.get("at")) or 0.0,
        took=_times(took),
        why=str(found.get("why", "")),
        leftovers=number(found.get("leftovers")) or 0,
    )


def _times(took: Json) -> dict[str, float]:
    return {step: seconds for step in STEPS if (seconds := _seconds(took.get(step))) is not None}


def _probe(value: object) -> Probe:
    if isinstance(value, list) and len(value) == 2 and value[0] in tuple(State):
        return Probe(State(value[0]), str(value[1]))
    return Probe(State.UNKNOWN, "not told")


def _seconds(value: object) -> float | None:
    """A number of seconds that can be one: no NaN, not negative."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        return None
    return float(value)
