"""The status as plain data: what -o json prints, and what the table is drawn from (docs/status.md).

A key is never renamed or removed without a new VERSION; new keys may come.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from hactl.cli import status_control
from hactl.decide.archive_shown import shown
from hactl.decide.codes import Finding
from hactl.decide.health import Verdict
from hactl.decide.mute import heard
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import LEVELS, ArchiveView, Probe, State, Unknown
from hactl.view.mute import Mute
from hactl.view.times import iso

VERSION = 1
_ANSWER = {State.OK: True, State.FAILED: False, State.UNKNOWN: None}


def document(spec: ClusterSpec, view: ClusterView, found: Verdict) -> dict[str, Any]:
    """`found`: with what is muted; the verdict that is shown is without."""
    told = heard(found, mutes(view))
    verdict = told.verdict
    return {
        "version": VERSION,
        "cluster": spec.cluster,
        "at": dt.datetime.fromtimestamp(view.at, dt.UTC).isoformat(timespec="milliseconds"),
        "took_seconds": round(view.took, 3),
        "verdict": verdict.health.value,
        "reasons": [reason(f) for f in verdict.findings],
        "muted": [muted(f, mute) for f, mute in told.muted],
        "nodes": _nodes(spec, view),
        "database": _database(view),
        "archive": _archive(view),
        "controller": status_control.controller(view),
        "fences": status_control.fences(view),
        "incident": status_control.incident(view),
        "etcd": _etcd(view),
        "paused": derive.paused(view),
        "pause": status_control.pause(view),
        "operation": status_control.operation(view),
        "scheduled": status_control.scheduled(view),
        "drill": status_control.drill(view),
    }


def reason(found: Finding) -> dict[str, str]:
    return {
        "code": found.code.name,
        "severity": found.severity.value,
        "subject": found.subject,
        "summary": found.code.summary,
        "detail": found.detail,
        "fix": found.fix,
        "docs": found.code.docs,
    }


def mutes(view: ClusterView) -> tuple[Mute, ...]:
    return () if isinstance(view.control, Unknown) else view.control.mutes


def muted(found: Finding, mute: Mute) -> dict[str, Any]:
    until = None if mute.until is None else iso(mute.until)
    return {**reason(found), "muted_by": mute.by, "muted_until": until, "muted_why": mute.reason}


def _nodes(spec: ClusterSpec, view: ClusterView) -> list[dict[str, Any]]:
    unknown = Probe(State.UNKNOWN, "not asked")
    probes = {name: view.nodes.get(name, unknown) for name in spec.nodes}
    return [
        {
            "name": name,
            "roles": [role.value for role in node.roles],
            "address": str(node.address),
            "reachable": _ANSWER[probes[name].state],
            "agent": status_control.agent(view, name),
            "why": probes[name].why,
        }
        for name, node in spec.nodes.items()
    ]


def _database(view: ClusterView) -> dict[str, Any]:
    return {
        "primary": derive.primary(view),
        "timeline": derive.timeline(view),
        "members": [
            {
                "name": m.name,
                "role": m.role.value,
                "state": m.state,
                "timeline": m.timeline,
                "lag_bytes": None if m.lag is None else m.lag.value,
                "sync": m.sync,
                "leader": m.leader,
                "lease": status_control.lease(view, m.name),
                "why": m.why,
            }
            for m in derive.members(view)
        ],
        "vip": vip(view, "database"),
    }


def vip(view: ClusterView, name: str) -> dict[str, Any]:
    found = view.vips.get(name)
    if found is None:
        return {"address": None, "holder": None, "on": None, "why": "not asked"}
    holder, why = (None, found.holder.why) if isinstance(found.holder, Unknown) else (found.holder, "")
    on = status_control.holders(view, found.address)
    why = why or ("" if holder else "nobody answers there")
    return {"address": found.address, "holder": holder, "on": on, "why": why}


def _archive(view: ClusterView) -> dict[str, Any]:
    return {
        "vip": vip(view, "archive"),
        "nodes": [_archive_node(view, name, archive) for name, archive in view.archives.items()],
    }


def _archive_node(view: ClusterView, name: str, archive: ArchiveView) -> dict[str, Any]:
    mark = shown(view, name)
    probes = {level: archive.level(level) for level in LEVELS}
    return {
        "name": name,
        "state": str(mark.state) if mark else "unknown",
        "version": archive.version if isinstance(archive.version, str) else None,
        "levels": {level: probe.state.value for level, probe in probes.items()},
        "why": {level: probe.why for level, probe in probes.items() if probe.why and not probe.ok},
        "because": mark.why if mark else "",
    }


def _etcd(view: ClusterView) -> dict[str, Any]:
    return {
        "members": [
            {
                "name": name,
                "healthy": not isinstance(seen.status, Unknown) and bool(seen.status.leader_id),
                "version": None if isinstance(seen.status, Unknown) else seen.status.version,
                "why": seen.status.why if isinstance(seen.status, Unknown) else "; ".join(seen.status.errors),
            }
            for name, seen in view.etcd.items()
        ],
        "healthy": derive.etcd_quorum(view),
        "leader": derive.etcd_leader(view),
    }
