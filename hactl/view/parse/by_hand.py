"""What people put into etcd, both ways: the operation lock, a pause, mutes."""

from __future__ import annotations

from hactl.view.control_text import compact
from hactl.view.mute import Mute
from hactl.view.operation import Holder
from hactl.view.parse.fields import document, mapping, number, text
from hactl.view.pause import Pause
from hactl.view.scheduled import Scheduled


def holder_text(holder: Holder) -> str:
    return compact({
        "who": holder.who, "machine": holder.machine, "pid": holder.pid, "what": holder.what,
        "since": holder.since, "reason": holder.reason, "id": holder.id,
    })  # fmt: skip


def parse_holder(value: str) -> Holder:
    """Raises ValueError."""
    found = mapping(document(value.encode(), "operation"), "operation")
    return Holder(
        who=text(found.get("who"), "who"),
        machine=str(found.get("machine", "")),
        pid=number(found.get("pid")) or 0,
        what=text(found.get("what"), "what"),
        since=str(found.get("since", "")),
        reason=str(found.get("reason", "")),
        id=str(found.get("id", "")),
    )


def pause_text(pause: Pause) -> str:
    return compact({
        "by": pause.by, "reason": pause.reason, "since": pause.since, "until": pause.until,
    })  # fmt: skip


def parse_pause(value: str) -> Pause:
    """Never raises: whatever the key says, somebody wants hands off."""
    try:
        found = mapping(document(value.encode(), "paused"), "paused")
    except ValueError:
        return Pause("somebody", "the key's value cannot be read")
    return Pause(
        str(found.get("by", "somebody")),
        str(found.get("reason", "")),
        _at(found.get("since")),
        _at(found.get("until")),
    )


def mute_text(mute: Mute) -> str:
    return compact({
        "by": mute.by, "reason": mute.reason, "severity": mute.severity, "count": mute.count,
        "since": mute.since, "until": mute.until,
    })  # fmt: skip


def parse_mute(name: str, value: str) -> Mute:
    """`name`: CODE or CODE/SUBJECT, as in its key.

    Raises:
        ValueError: it cannot be read, so nothing is muted.

    """
    code, _, subject = name.partition("/")
    found = mapping(document(value.encode(), "mute"), "mute")
    count = number(found.get("count"))
    if count is None or count < 1:
        raise ValueError("mute: no count")
    return Mute(
        code=code,
        subject=subject,
        by=text(found.get("by"), "by"),
        reason=str(found.get("reason", "")),
        severity=text(found.get("severity"), "severity"),
        count=count,
        since=_at(found.get("since")),
        until=_at(found.get("until")),
    )


def scheduled_text(order: Scheduled) -> str:
    return compact({
        "id": order.id, "at": order.at, "to": order.target, "by": order.by, "reason": order.reason,
    })  # fmt: skip


def parse_scheduled(value: str) -> Scheduled:
    """Raises ValueError: nobody does it then."""
    found = mapping(document(value.encode(), "scheduled"), "scheduled")
    at = _at(found.get("at"))
    if at is None:
        raise ValueError("scheduled: no time")
    words = (text(found.get(name), name) for name in ("to", "by", "reason"))
    return Scheduled(text(found.get("id"), "id"), at, *words)


def _at(value: object) -> float | None:
    """Unix time, as far as a date can be; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        return None
    return value  # as it was written: its text is compared
