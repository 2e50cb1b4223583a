"""What is known of single nodes, as plain data: `hactl node list`, `hactl node show` (docs/nodes.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hactl.cli import status_control
from hactl.cli.status_data import muted, mutes, reason
from hactl.decide.archive_shown import shown
from hactl.decide.health import judge
from hactl.decide.mute import heard
from hactl.spec.model import ClusterSpec
from hactl.units import Bytes
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, Dcs, PostgresLocal
from hactl.view.model import LEVELS, EtcdStatus, NodeFacts, Probe, State, Unknown

_ANSWER = {State.OK: True, State.FAILED: False, State.UNKNOWN: None}


def row(spec: ClusterSpec, view: ClusterView, node: str) -> dict[str, Any]:
    """One node in one line. `doing`: what it is for the service now."""
    dcs = _dcs(view)
    probe = view.nodes.get(node, Probe(State.UNKNOWN, "not asked"))
    known = spec.nodes[node]
    return {
        "name": node,
        "roles": [role.value for role in known.roles],
        "address": str(known.address),
        "reachable": _ANSWER[probe.state],
        "agent": status_control.agent(view, node),
        "doing": _doing(view, node),
        "vips": _vips(spec, view, node),
        "fenced": bool(dcs and node in dcs.fences),
        "drained": bool(dcs and node in dcs.drains),
        "why": probe.why,
    }


def whole(spec: ClusterSpec, view: ClusterView, machine: NodeFacts | Unknown, node: str) -> dict[str, Any]:
    """All there is. `machine`: what the node said itself, over SSH."""
    dcs = _dcs(view)
    told = heard(judge(spec, view), mutes(view))
    facts = dcs.facts.get(node) if dcs else None
    return {
        **row(spec, view, node),
        "findings": [reason(f) for f in told.verdict.findings if f.subject == node],
        "muted": [muted(f, m) for f, m in told.muted if f.subject == node],
        "database": _database(view, node) if node in spec.databases else None,
        "etcd": _etcd(view, node) if node in spec.voters else None,
        "archive": _archive(view, node) if node in spec.archives else None,
        "fence": next((f for f in status_control.fences(view) if f["node"] == node), None),
        "drain": _drain(dcs, node),
        "order": _order(dcs, node),
        "budget": _budget(dcs, node),
        "reports": _agent(facts),
        "machine": _machine(machine),
    }


def _dcs(view: ClusterView) -> Dcs | None:
    return None if isinstance(view.control, Unknown) else view.control


def _doing(view: ClusterView, node: str) -> list[str]:
    dcs = _dcs(view)
    member = next((m for m in derive.members(view) if m.name == node), None)
    said = []
    if member is not None:
        said.append(f"{member.role.value}{f' ({member.state})' if member.state != 'running' else ''}")
    if mark := shown(view, node) if node in view.archives else None:
        said.append(f"archive {mark.state}")
    if derive.etcd_leader(view) == node:
        said.append("leads etcd")
    if dcs and dcs.active == node:
        said.append("controls")
    return said


def _vips(spec: ClusterSpec, view: ClusterView, node: str) -> list[str]:
    """As its own agent says; and whoever answers at the address has it."""
    dcs = _dcs(view)
    facts = dcs.facts.get(node) if dcs else None
    return [
        name
        for name, vip in spec.vips.by_name.items()
        if (facts is not None and str(vip.address.ip) in facts.vips)
        or (name in view.vips and view.vips[name].holder == node)
    ]


def _database(view: ClusterView, node: str) -> dict[str, Any] | None:
    member = next((m for m in derive.members(view) if m.name == node), None)
    if member is None:
        return None
    itself = derive.selves(view).get(node)
    return {
        "role": member.role.value,
        "state": member.state,
        "leader": member.leader,
        "timeline": member.timeline,
        "lag_bytes": None if member.lag is None else member.lag.value,
        "sync": member.sync,
        "lsn": None if itself is None or itself.lsn is None else str(itself.lsn),
        "streams_to": [] if itself is None else list(itself.streams_to),
        "lease": status_control.lease(view, node),
        "why": member.why,
    }


def _etcd(view: ClusterView, node: str) -> dict[str, Any]:
    seen = view.etcd.get(node)
    status = seen.status if seen is not None else Unknown("not asked")
    if not isinstance(status, EtcdStatus):
        return {"healthy": False, "why": status.why}
    return {
        "healthy": bool(status.leader_id),
        "leader": derive.etcd_leader(view) == node,
        "version": status.version,
        "db_bytes": status.db_size.value,
        "db_used_bytes": status.db_used.value,
        "why": "; ".join(status.errors),
    }


def _archive(view: ClusterView, node: str) -> dict[str, Any]:
    mark, seen = shown(view, node), view.archives.get(node)
    levels = {level: seen.level(level) for level in LEVELS} if seen is not None else {}
    return {
        "state": str(mark.state) if mark else "unknown",
        "because": mark.why if mark else "",
        "levels": {level: probe.state.value for level, probe in levels.items()},
        "why": {level: probe.why for level, probe in levels.items() if probe.why and not probe.ok},
    }


def _drain(dcs: Dcs | None, node: str) -> dict[str, Any] | None:
    found = dcs.drains.get(node) if dcs else None
    return None if found is None else {"by": str(found.by), "why": found.why, "since": found.since}


def _order(dcs: Dcs | None, node: str) -> dict[str, Any] | None:
    """What its agent was last asked to do by hactl, and what came of it so far."""
    order, done = (dcs.orders.get(node), dcs.done.get(node)) if dcs else (None, None)
    if order is None:
        return None
    answer = done if done is not None and done.id == order.id else None
    return {
        "verb": order.verb, "unit": order.unit, "ok": None if answer is None else answer.ok,
        "said": "" if answer is None else answer.said,
    }  # fmt: skip


def _budget(dcs: Dcs | None, node: str) -> dict[str, int]:
    """Acts of recovery within the last hour, by rung."""
    return {rung: used for (name, rung), used in dcs.budget.items() if name == node} if dcs else {}


def _agent(facts: AgentFacts | None) -> dict[str, Any] | None:
    if facts is None:
        return None
    probes = {
        "patroni": facts.patroni,
        "keepalived": facts.keepalived,
        "canary": facts.canary,
        "storage": facts.storage,
    }
    return {
        "boot": facts.boot,
        "up_seconds": round(facts.boottime),
        "probes": {name: _probe(probe) for name, probe in probes.items() if probe.why != "not looked yet"},
        "postgres": _postgres(facts.postgres),
        "peers": {peer: {"misses": look.misses, "why": look.why} for peer, look in facts.peers.items()},
        "disks": [_disk(d.path, d.free, d.total) for d in facts.disks],
        "units": dict(facts.units),
        "certificates": dict(facts.certificates),
        "joining": facts.joining,
        "thawed": facts.thawed,
    }


def _postgres(found: PostgresLocal | Unknown) -> dict[str, Any]:
    if isinstance(found, Unknown):
        return {"why": found.why}
    return {
        "writable": found.writable if isinstance(found.writable, bool) else None,
        "streaming_from": found.streaming_from,
        "timeline": found.timeline,
        "lsn": None if found.lsn is None else str(found.lsn),
        "lost_slots": list(found.lost_slots),
        "damaged": list(found.damaged),
        "why": "",
    }


def _probe(probe: Probe) -> dict[str, Any]:
    return {"state": probe.state.value, "why": probe.why}


def _disk(path: str, free: Bytes, total: Bytes) -> dict[str, Any]:
    return {"path": path, "free_bytes": free.value, "total_bytes": total.value}


def _machine(found: NodeFacts | Unknown) -> Mapping[str, Any]:
    if isinstance(found, Unknown):
        return {"why": found.why}
    return {
        "addresses": list(found.addresses),
        "units": dict(found.units),
        "disks": [_disk(d.path, d.free, d.total) for d in found.disks],
        "clock_offset_seconds": None if found.clock_offset is None else round(found.clock_offset, 3),
        "versions": dict(found.versions),
        "why": "",
    }
