"""The status as plain data: what -o json prints, and what the table is drawn from (docs/status.md).

A key is never renamed or removed without a new VERSION; new keys may come.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from hactl.decide.codes import Finding
from hactl.decide.health import Verdict
from hactl.decide.health_archive import can_serve
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.model import LEVELS, ArchiveView, ClusterView, Probe, State, Unknown, VipView

VERSION = 1
_ANSWER = {State.OK: True, State.FAILED: False, State.UNKNOWN: None}
_SERVES = {True: "ok", False: "failed", None: "unknown"}


def document(spec: ClusterSpec, view: ClusterView, verdict: Verdict) -> dict[str, Any]:
    return {
        "version": VERSION,
        "cluster": spec.cluster,
        "at": dt.datetime.fromtimestamp(view.at, dt.UTC).isoformat(timespec="milliseconds"),
        "took_seconds": round(view.took, 3),
        "verdict": verdict.health.value,
        "reasons": [reason(f) for f in verdict.findings],
        "nodes": _nodes(spec, view),
        "database": _database(view),
        "archive": _archive(view),
        "controller": {"active": None, "standing_by": []},
        "etcd": _etcd(view),
        "paused": derive.paused(view),
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


def _nodes(spec: ClusterSpec, view: ClusterView) -> list[dict[str, Any]]:
    unknown = Probe(State.UNKNOWN, "not asked")
    probes = {name: view.nodes.get(name, unknown) for name in spec.nodes}
    return [
        {
            "name": name,
            "roles": [role.value for role in node.roles],
            "address": str(node.address),
            "reachable": _ANSWER[probes[name].state],
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
                "why": m.why,
            }
            for m in derive.members(view)
        ],
        "vip": _vip(view.vips.get("database")),
    }


def _vip(vip: VipView | None) -> dict[str, str | None]:
    if vip is None:
        return {"address": None, "holder": None, "why": "not asked"}
    if isinstance(vip.holder, Unknown):
        return {"address": vip.address, "holder": None, "why": vip.holder.why}
    return {"address": vip.address, "holder": vip.holder, "why": "" if vip.holder else "nobody answers there"}


def _archive(view: ClusterView) -> dict[str, Any]:
    return {
        "vip": _vip(view.vips.get("archive")),
        "nodes": [_archive_node(name, archive) for name, archive in view.archives.items()],
    }


def _archive_node(name: str, archive: ArchiveView) -> dict[str, Any]:
    probes = {level: archive.level(level) for level in LEVELS}
    return {
        "name": name,
        "state": _SERVES[can_serve(archive)],
        "version": archive.version if isinstance(archive.version, str) else None,
        "levels": {level: probe.state.value for level, probe in probes.items()},
        "why": {level: probe.why for level, probe in probes.items() if probe.why},
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
