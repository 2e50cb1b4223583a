"""Is it healthy? A function of the spec and one view; every answer has its reasons, worst first."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hactl.decide import (
    health_archive,
    health_certificates,
    health_control,
    health_database,
    health_drill,
    health_etcd,
    health_integrity,
    health_maintenance,
    health_tls,
)
from hactl.decide.codes import Finding, Severity, finding
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import State, Unknown


class Health(enum.StrEnum):
    """`failed`: the service is down or data in danger; `degraded`: it runs with less than it should have."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    health: Health
    findings: tuple[Finding, ...] = ()


Check = Callable[[ClusterSpec, ClusterView], Iterable[Finding]]


def unreachable_nodes(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for name, probe in view.nodes.items():
        if probe.state is State.FAILED:
            yield finding("NODE_UNREACHABLE", name, probe.why)
        if probe.state is State.UNKNOWN:
            yield finding("SOURCE_UNKNOWN", name, f"whether {name} is up: {probe.why}")


def untrusted(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Once per node, whatever runs there."""
    for name in view.nodes:
        asked: list[object] = []
        if name in view.patroni:
            asked.append(view.patroni[name].itself)
        if name in view.etcd:
            asked.append(view.etcd[name].status)
        whys = [a.why for a in asked if isinstance(a, Unknown) and a.untrusted]
        if whys:
            yield finding("TLS_UNTRUSTED", name, whys[0])


CHECKS: tuple[Check, ...] = (
    unreachable_nodes,
    untrusted,
    *health_database.CHECKS,
    *health_etcd.CHECKS,
    *health_archive.CHECKS,
    *health_integrity.CHECKS,
    *health_control.CHECKS,
    *health_certificates.CHECKS,
    *health_tls.CHECKS,
    *health_drill.CHECKS,
)


def nothing_answers(view: ClusterView) -> bool:
    """Not one node, not one service: then the fault may be on this side, and nothing else can be claimed."""
    return bool(view.nodes) and not (
        any(probe.ok for probe in view.nodes.values())
        or any(isinstance(vip.holder, str) for vip in view.vips.values())
        or derive.selves(view)
        or derive.etcd_answers(view)
        or any(probe.ok for archive in view.archives.values() for probe in archive.levels.values())
    )


def judge(spec: ClusterSpec, view: ClusterView) -> Verdict:
    """Never raises, whatever the view holds."""
    if nothing_answers(view):
        whys = sorted({p.why for p in view.nodes.values() if p.why})
        return verdict([finding("ALL_NODES_UNREACHABLE", detail="; ".join(whys[:2]))])
    found = [f for check in CHECKS for f in check(spec, view)]
    return verdict([*health_maintenance.nodes(view, found), *health_maintenance.loud(view, found)])


def verdict(findings: Iterable[Finding]) -> Verdict:
    """Worst first; among equals the order in which they were found, which goes from cause to effect."""
    ordered = tuple(sorted(dict.fromkeys(findings), key=lambda f: -f.severity.rank))
    worst = ordered[0].severity if ordered else Severity.OK
    if worst is Severity.ERROR:
        return Verdict(Health.FAILED, ordered)
    return Verdict(Health.DEGRADED if worst is Severity.WARNING else Health.HEALTHY, ordered)
