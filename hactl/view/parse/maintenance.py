"""The keys maintenance/NODE, both ways."""

from __future__ import annotations

from hactl.view.control import Maintenance
from hactl.view.control_text import compact
from hactl.view.parse.fields import document, mapping


def maintenance_text(found: Maintenance) -> str:
    return compact({
        "by": found.by, "why": found.why, "since": found.since, "until": found.until,
        "stopped": found.stopped,
    })  # fmt: skip


def parse_maintenance(node: str, value: str) -> Maintenance:
    """Never raises: whatever the key says, somebody wants hactl to leave this node alone."""
    try:
        found = mapping(document(value.encode(), "maintenance"), "maintenance")
    except ValueError:
        return Maintenance(node, "somebody", "a key that cannot be read")
    return Maintenance(
        node=node,
        by=str(found.get("by", "")),
        why=str(found.get("why", "")),
        since=str(found.get("since", "")),
        until=str(found.get("until", "")),
        stopped=found.get("stopped") is True,
    )
