"""hactl itself, and what its agents see: judged from its keys in etcd, by whoever asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hactl.decide.budgets import MISSES, REINIT, REJOIN, limit
from hactl.decide.codes import Finding, finding
from hactl.decide.limits import POWER_TRIES
from hactl.decide.node_fence import BY_HAND
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, Dcs, Heartbeat, Mode
from hactl.view.control_text import parse_incident
from hactl.view.incident import Phase
from hactl.view.model import NOT_ASKED, NodeFacts, State, Unknown
from hactl.view.pause import Pause
from hactl.view.times import span

DOWN = frozenset({"failed", "inactive"})  # systemd's words
MIN_FREE = 0.15  # of a disk; below it PostgreSQL's WAL of one lost standby may not fit


def _dcs(view: ClusterView) -> Dcs:
    """Without a look nothing is found: that etcd has no majority is a finding of its own."""
    return Dcs(0) if isinstance(view.control, Unknown) else view.control


def looked(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    if isinstance(view.control, Unknown) and view.control != NOT_ASKED and derive.etcd_quorum(view):
        yield finding("SOURCE_UNKNOWN", "hactl", f"hactl's keys in etcd: {view.control.why}")


def controllers(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    if isinstance(view.control, Unknown):
        return
    if view.control.active is None:
        yield finding("CONTROLLER_NONE")
    elif len(spec.voters) > 1 and not set(view.control.standing_by) - {view.control.active}:
        yield finding("CONTROLLER_ALONE", view.control.active)


def incident(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    dcs = _dcs(view)
    if dcs.incident is not None:
        yield finding("INCIDENT_OPEN")
    for node, fence in dcs.fences.items():
        said = f"since incident {fence.incident}, epoch {fence.epoch}: {fence.reason}"
        if fence.incident.startswith(BY_HAND):
            said = f"by {fence.by}: {fence.reason}"
            yield finding("FENCED", node, said, f"hactl node unfence {node}")
            continue
        yield finding("FENCED", node, said + _still_off(dcs.incident, fence.epoch))


def _still_off(text: str | None, epoch: int) -> str:
    """What is said of a node that hactl switched off and could not switch on again."""
    try:
        found = parse_incident(text) if text is not None else None
    except ValueError:
        return ""
    if found is None or found.epoch != epoch or found.reached(Phase.POWERED_ON):
        return ""
    return "; hactl switched it off and cannot switch it on" if found.power_tries >= POWER_TRIES else ""


def paused(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    dcs = _dcs(view)
    if not dcs.paused:
        return
    pause = dcs.pause or Pause("somebody", "")
    left = pause.left(view.at)
    until = "" if left is None else f", for another {span(left)}"
    yield finding("PAUSED", detail=f"by {pause.by}{until}{f': {pause.reason}' if pause.reason else ''}")


def leases(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, mode in _dcs(view).modes.items():
        if mode is Mode.OPEN and node in spec.databases:
            yield finding("LEASE_OPEN", node, "mode open")


def agents(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """A node that is down is a finding of its own."""
    if isinstance(view.control, Unknown):
        return
    for node in spec.nodes if view.control.archives_known else spec.voters:
        seen = view.nodes.get(node)
        if node not in view.control.facts and seen is not None and not seen.failed:
            yield finding("AGENT_SILENT", node, "its last report has expired")


def keepalived(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, facts in _reports(view):
        if facts.keepalived.failed:
            yield finding("KEEPALIVED_DOWN", node, facts.keepalived.why)


def addresses(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for vip in spec.vips.by_name.values():
        address = str(vip.address.ip)
        holders = [node for node, facts in _reports(view) if address in facts.vips]
        if len(holders) > 1:
            yield finding("VIP_ON_TWO_NODES", holders[-1], f"{address} is on {' and '.join(holders)}")


def disks(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The doctor's own look at a node's disks comes first where there is one."""
    for node, facts in _reports(view):
        if facts.canary.failed and node in spec.databases:
            yield finding("DISK_STALLED", node, facts.canary.why)
        if isinstance(view.facts.get(node), NodeFacts):
            continue
        for disk in facts.disks:
            if disk.free_ratio < MIN_FREE:
                yield finding("DISK_NEARLY_FULL", node, f"{disk.path}: {disk.free} free of {disk.total}")


def units(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The doctor asks the nodes themselves; of hactl's own units their silence tells."""
    for node, facts in _reports(view):
        if not isinstance(view.facts.get(node), NodeFacts):
            down = [f"{u} is {s}" for u, s in facts.units.items() if s in DOWN and not u.startswith("hactl-")]
            if down:
                yield finding("UNIT_NOT_RUNNING", node, ", ".join(down))


def heartbeat(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    if isinstance(view.heartbeat, Heartbeat) and view.heartbeat.misses >= MISSES:
        yield finding("HEARTBEAT_FAILING", detail=f"{view.heartbeat.misses} in a row: {view.heartbeat.why}")


def slots(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, facts in _reports(view):
        if not isinstance(facts.postgres, Unknown) and facts.postgres.lost_slots:
            yield finding("SLOT_LOST", node, ", ".join(facts.postgres.lost_slots))


def damaged(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, facts in _reports(view):
        if not isinstance(facts.postgres, Unknown) and facts.postgres.damaged:
            yield finding("PAGES_DAMAGED", node, f"in {', '.join(facts.postgres.damaged)}")


def given_up(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The budgets are used up, and the trouble is still there."""
    spent = {key for key, used in _dcs(view).budget.items() if used >= limit(key[1])}
    for node in spec.databases:
        if {(node, REJOIN), (node, REINIT)} <= spent and not _follows(view, node):
            yield finding("RECOVERY_GIVEN_UP", node, "rejoined and copied anew as often as an hour allows")
    for node, facts in _reports(view):
        for unit, state in facts.units.items():
            if state in DOWN and (node, f"restart:{unit}") in spent:
                yield finding("RECOVERY_GIVEN_UP", node, f"{unit} is {state}, however often it is restarted")


def _follows(view: ClusterView, node: str) -> bool:
    itself = derive.selves(view).get(node)
    return itself is not None and (itself.serves_writes or itself.replication_state == "streaming")


def diverged(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    present = derive.timeline(view)
    for member in derive.members(view):
        if present is not None and member.timeline is not None and member.timeline > present:
            yield finding(
                "STANDBY_DIVERGED", member.name, f"timeline {member.timeline}, the primary {present}"
            )


def _reports(view: ClusterView) -> Iterator[tuple[str, AgentFacts]]:
    """Of nodes that the spec names; an agent that went silent is gone from etcd after ten seconds."""
    found: Mapping[str, AgentFacts] = _dcs(view).facts
    yield from ((node, facts) for node, facts in found.items() if _may_be_up(view, node))


def _may_be_up(view: ClusterView, node: str) -> bool:
    seen = view.nodes.get(node)
    return seen is not None and seen.state is not State.FAILED


CHECKS = (
    looked,
    incident,
    paused,
    heartbeat,
    disks,
    controllers,
    agents,
    leases,
    addresses,
    keepalived,
    units,
    slots,
    damaged,
    diverged,
    given_up,
)
