"""Samples of the fast loop's look: leases, fences, agents, the heartbeat. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.metrics import samples_integrity
from hactl.metrics.seen import Row, Seen
from hactl.spec.model import ClusterSpec
from hactl.view.control import AgentFacts, Dcs, Heartbeat, Mode
from hactl.view.drill import LastDrill
from hactl.view.tls import TlsCheck


def samples(spec: ClusterSpec, seen: Seen) -> Iterator[Row]:
    if seen.heartbeat is not None:
        yield from _heartbeat(seen.heartbeat)
    if seen.dcs is not None:
        yield from _leases(spec, seen.dcs)
        yield from _agents(spec, seen.dcs)
        yield from _tls_check(seen.dcs.tls_check)
        yield from _drill(seen.dcs.drill)
        yield from samples_integrity.samples(spec, seen.dcs)
        yield "hactl_failovers_recent", (), seen.dcs.recent_failovers
        for (node, rung), used in seen.dcs.budget.items():
            yield "hactl_recovery_budget_used", (node, rung), used


def _heartbeat(heartbeat: Heartbeat) -> Iterator[Row]:
    yield "hactl_heartbeat_misses", (), heartbeat.misses
    if heartbeat.took is not None:
        yield "hactl_heartbeat_seconds", (), heartbeat.took


def _tls_check(found: TlsCheck | None) -> Iterator[Row]:
    if found is None:
        return
    yield "hactl_tls_check_timestamp_seconds", (), found.at
    yield "hactl_tls_check_unproven_since_seconds", (), found.oldest
    results = {"weak": found.weak_count, "unproven": found.unproven_count}
    results["ok"] = found.endpoints - sum(results.values())
    for result, count in results.items():
        yield "hactl_tls_check_endpoints", (result,), count


def _drill(found: LastDrill | None) -> Iterator[Row]:
    if found is None:
        return
    yield "hactl_last_drill_timestamp_seconds", (), found.at
    yield "hactl_last_drill_clean", (), float(found.clean)
    if not found.aborted:  # whose rows nobody read back
        yield "hactl_last_drill_lost_rows", (), found.lost_rows
    if found.outage is not None:
        yield "hactl_last_drill_outage_seconds", (), found.outage


def _leases(spec: ClusterSpec, dcs: Dcs) -> Iterator[Row]:
    for node in spec.databases:
        mode, facts = dcs.modes.get(node), dcs.facts.get(node)
        if mode is not None:
            for each in Mode:
                yield "hactl_lease_mode", (node, each.value), float(mode is each)
        if facts is not None and facts.lease_left is not None:
            yield "hactl_lease_remaining_seconds", (node,), facts.lease_left
        yield "hactl_fence_standing", (node,), float(node in dcs.fences)


def _agents(spec: ClusterSpec, dcs: Dcs) -> Iterator[Row]:
    for node in spec.nodes if dcs.archives_known else spec.voters:
        facts = dcs.facts.get(node)
        yield "hactl_agent_up", (node,), float(facts is not None)
        if facts is not None:
            yield from _facts(node, facts)


def _facts(node: str, facts: AgentFacts) -> Iterator[Row]:
    for unit, state in facts.units.items():
        yield "hactl_unit_running", (node, unit), float(state == "active")
    for disk in facts.disks:
        yield "hactl_disk_free_bytes", (node, disk.path), disk.free.value
        yield "hactl_disk_size_bytes", (node, disk.path), disk.total.value
