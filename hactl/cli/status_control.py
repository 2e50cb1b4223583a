"""The control plane's part of the status document: controllers, agents, leases, fences, the open incident."""

from __future__ import annotations

from typing import Any

from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, FenceIntent
from hactl.view.control_text import parse_incident
from hactl.view.model import Unknown
from hactl.view.pause import Pause
from hactl.view.times import iso


def _dcs(view: ClusterView) -> Dcs | None:
    return None if isinstance(view.control, Unknown) else view.control


def controller(view: ClusterView) -> dict[str, Any]:
    dcs = _dcs(view)
    return {
        "active": dcs.active if dcs else None,
        "standing_by": list(dcs.standing_by) if dcs else [],
        "paused": dcs.paused if dcs else None,
        "why": view.control.why if isinstance(view.control, Unknown) else "",
    }


def pause(view: ClusterView) -> dict[str, Any] | None:
    """Of hactl itself; None: it is not paused, or etcd could not be asked."""
    dcs = _dcs(view)
    if dcs is None or not dcs.paused:
        return None
    found = dcs.pause or Pause("somebody", "")
    left = found.left(view.at)
    return {
        "by": found.by,
        "reason": found.reason,
        "until": None if found.until is None else iso(found.until),
        "seconds_left": None if left is None else round(left),
    }


def operation(view: ClusterView) -> dict[str, Any] | None:
    """The command that is at work; None: none is, or etcd could not be asked."""
    dcs = _dcs(view)
    if dcs is None or dcs.operation is None:
        return None
    found = dcs.operation
    return {
        "what": found.what, "by": found.who, "machine": found.machine, "pid": found.pid,
        "since": found.since, "reason": found.reason,
    }  # fmt: skip


def scheduled(view: ClusterView) -> dict[str, Any] | None:
    """The switchover that is to come; None: none is, or etcd could not be asked."""
    dcs = _dcs(view)
    if dcs is None or dcs.scheduled is None:
        return None
    found = dcs.scheduled
    return {"id": found.id, "at": iso(found.at), "to": found.target, "by": found.by, "reason": found.reason}


def drill(view: ClusterView) -> dict[str, Any] | None:
    """What the last one came to; None: there was none, or etcd could not be asked."""
    dcs = _dcs(view)
    if dcs is None or dcs.drill is None:
        return None
    found = dcs.drill
    verdict = "aborted" if found.aborted else "kept" if found.clean else "broken"
    return {
        "at": iso(found.at), "scenario": found.scenario, "verdict": verdict,
        "outage_seconds": found.outage, "lost_rows": None if found.aborted else found.lost_rows,
    }  # fmt: skip


def agent(view: ClusterView, node: str) -> bool | None:
    """Whether the node's agent reports; None when etcd could not be asked."""
    dcs = _dcs(view)
    return None if dcs is None else node in dcs.facts


def lease(view: ClusterView, node: str) -> dict[str, Any]:
    dcs = _dcs(view)
    mode = dcs.modes.get(node) if dcs else None
    facts = dcs.facts.get(node) if dcs else None
    return {"mode": mode.value if mode else None, "seconds_left": facts.lease_left if facts else None}


def holders(view: ClusterView, address: str) -> list[str] | None:
    """The nodes whose own agents say that they have the address; None where no agent says anything."""
    dcs = _dcs(view)
    if dcs is None or not dcs.facts:
        return None
    return [node for node, facts in dcs.facts.items() if address in facts.vips]


def fences(view: ClusterView) -> list[dict[str, Any]]:
    dcs = _dcs(view)
    return [_fence(intent) for intent in dcs.fences.values()] if dcs else []


def _fence(intent: FenceIntent) -> dict[str, Any]:
    return {
        "node": intent.node,
        "epoch": intent.epoch,
        "incident": intent.incident,
        "by": intent.by,
        "reason": intent.reason,
    }


def incident(view: ClusterView) -> dict[str, Any] | None:
    """The open one; `phase` is what it reached last. None: none is open, or etcd could not be asked."""
    dcs = _dcs(view)
    if dcs is None or dcs.incident is None:
        return None
    try:
        found = parse_incident(dcs.incident)
    except ValueError as error:
        return {"id": "", "kind": "", "victim": None, "standby": None, "epoch": None, "phase": None,
                "why": f"the incident in etcd cannot be read: {error}"}  # fmt: skip
    return {
        "id": found.id,
        "kind": found.kind,
        "victim": found.victim,
        "standby": found.standby,
        "epoch": found.epoch,
        "phase": found.stamps[-1].phase.value if found.stamps else None,
        "why": found.stamps[0].evidence if found.stamps else "",
    }
