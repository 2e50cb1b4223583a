"""The operation lock's value in etcd, both ways."""

from __future__ import annotations

from hactl.view.control_text import compact
from hactl.view.operation import Holder
from hactl.view.parse.fields import document, mapping, number, text


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
