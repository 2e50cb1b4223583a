"""Nodes that somebody works on: one finding each, instead of what the work itself makes look ill."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hactl.decide.codes import Finding, finding
from hactl.decide.pacing import left_alone
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs

# What follows from a service or a machine that is stopped. Never what endangers data or clients elsewhere.
QUIET: Final = frozenset({
    "NODE_UNREACHABLE", "PATRONI_DOWN", "STANDBY_LOST", "STANDBY_LAGGING", "STANDBY_ON_OLD_TIMELINE",
    "PENDING_RESTART", "ETCD_MEMBER_DOWN", "ARCHIVE_NODE_DOWN", "ARCHIVE_NOT_RESPONDING",
    "ARCHIVE_INDEX_UNREACHABLE", "ARCHIVE_HUNG_POOL", "ARCHIVE_END_TO_END", "ARCHIVE_DRAINED",
    "ARCHIVE_GIVEN_UP", "AGENT_SILENT", "KEEPALIVED_DOWN", "LEASE_OPEN", "UNIT_NOT_RUNNING",
    "RECOVERY_GIVEN_UP", "SOURCE_UNKNOWN", "FACTS_UNKNOWN", "PORT_UNREACHABLE", "MANIFEST_BEHIND",
    "SIGNING_BEHIND",
})  # fmt: skip


def nodes(view: ClusterView, found: Iterable[Finding]) -> Iterator[Finding]:
    """One for each; what is kept quiet is named in it, so nothing is hidden."""
    if not isinstance(view.control, Dcs):
        return
    hidden = [f for f in found if _quiet(view, f)]
    for node in sorted(view.control.maintenance):
        work = left_alone(view.control, node)
        if work is None:
            continue
        parts = [
            f"{'stopped' if work.stopped else 'on'} by {work.by}",
            f"until {work.until}" if work.until else "",
            work.why,
            ", ".join(dict.fromkeys(f.code.name for f in hidden if f.subject == node)),
        ]
        stopped = f"hactl node start {node}" if work.stopped else ""
        yield finding("NODE_MAINTENANCE", node, "; ".join(p for p in parts if p), stopped)


def loud(view: ClusterView, found: Iterable[Finding]) -> Iterator[Finding]:
    """Without what is expected of nodes that somebody works on."""
    return (f for f in found if not _quiet(view, f))


def _quiet(view: ClusterView, found: Finding) -> bool:
    control = view.control
    return (
        found.code.name in QUIET
        and isinstance(control, Dcs)
        and left_alone(control, found.subject) is not None
    )
