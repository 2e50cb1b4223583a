"""Why a node must not have a virtual IP now, for whoever looks once. Pure."""

from __future__ import annotations

from hactl.decide.archive_shown import shown
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.archive import ArchiveState
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs

_FIT = frozenset({ArchiveState.HEALTHY, ArchiveState.DEGRADED})


def against(spec: ClusterSpec, view: ClusterView, vip: str, node: str) -> str:
    """One reason; empty: nothing is known that stands against it."""
    dcs = view.control if isinstance(view.control, Dcs) else None
    probe = view.nodes.get(node)
    if probe is not None and probe.failed:
        return "not reachable"
    if dcs is not None and node in dcs.fences:
        return "fenced"
    if vip == "database" and node in spec.databases:
        member = next((m for m in derive.members(view) if m.name == node), None)
        return "" if member is not None and member.leader else "it does not lead"
    drain = dcs.drains.get(node) if dcs else None
    if drain is not None:
        return f"drained by {drain.by}"
    mark = shown(view, node)
    return "" if mark is not None and mark.state in _FIT else f"it is {mark.state if mark else 'unknown'}"
