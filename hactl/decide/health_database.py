"""The database pair: who takes writes, who follows, and whether the virtual IP is where it should be."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.units import Bytes
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import DbRole, State, Unknown

# Patroni's own limit for a candidate is 1 MiB; one full WAL segment is normal while a bulk load runs.
MAX_LAG = Bytes.mib(16)
_FOLLOWS = frozenset({"streaming", "in archive recovery"})


def writable_primary(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    found = derive.primaries(view)
    if len(found) > 1:
        yield finding("TWO_PRIMARIES", detail=" and ".join(found))
    if found:
        return
    holder = derive.leader(view)
    silent = [n for n, p in view.patroni.items() if isinstance(p.itself, Unknown)]
    if holder in silent:
        yield finding("PRIMARY_UNREACHABLE", holder, _why(view, holder))
        return
    says = [f"{m.name} is {m.role.value}, {m.state}" for m in derive.members(view) if m.name not in silent]
    unknown = [f"{n} does not answer" for n in silent]
    yield finding("NO_PRIMARY", detail="; ".join(says + unknown))


def _why(view: ClusterView, node: str) -> str:
    itself = view.patroni[node].itself if node in view.patroni else Unknown("not in the spec")
    return itself.why if isinstance(itself, Unknown) else ""


def supervised(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for name, seen in view.patroni.items():
        node = view.nodes.get(name)
        silent = isinstance(seen.itself, Unknown) and not seen.itself.untrusted
        if silent and node is not None and node.ok:
            yield finding("PATRONI_DOWN", name, _why(view, name))


def standby_streams(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Only while there is a primary: without one the question has no answer."""
    name = derive.primary(view)
    if name is None:
        return
    standbys = [m for m in derive.members(view) if m.name != name]
    streaming = [m for m in standbys if m.role is DbRole.STANDBY and m.state in _FOLLOWS]
    if not streaming:
        seen = "; ".join(f"{m.name}: {m.why or m.state}" for m in standbys)
        yield finding("STANDBY_LOST", standbys[0].name if len(standbys) == 1 else "", seen)
    elif not any(m.sync for m in streaming):
        yield finding("SYNC_DEGRADED", detail=f"{name} commits alone")
    for member in streaming:
        if member.lag is not None and member.lag > MAX_LAG:
            yield finding("STANDBY_LAGGING", member.name, f"{member.lag} behind {name}")


def same_timeline(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    present = derive.timeline(view)
    if present is None:
        return
    for member in derive.members(view):
        if member.timeline is not None and member.timeline < present:
            detail = f"timeline {member.timeline}, the primary has {present}"
            yield finding("STANDBY_ON_OLD_TIMELINE", member.name, detail)


def paused(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    control = view.control
    if derive.paused(view) or (not isinstance(control, Unknown) and control.patroni.paused):
        yield finding("PATRONI_PAUSED")


def pending_restart(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for name, itself in derive.selves(view).items():
        if itself.pending_restart:
            yield finding("PENDING_RESTART", name)


def vip(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    seen = view.vips.get("database")
    if seen is None:
        return
    name = derive.primary(view)
    if seen.holder is None:
        yield finding("VIP_NOT_HELD", "database", f"{seen.address}: no connection")
    elif isinstance(seen.holder, Unknown):
        yield _vip_unknown(view, seen.address, seen.holder.why)
    elif name is not None and seen.holder != name:
        yield finding("VIP_WRONG_NODE", seen.holder, f"{seen.address} is there, the primary is {name}")
    elif name is None and _is_standby(view, seen.holder):
        yield finding("VIP_WRONG_NODE", seen.holder, f"{seen.address} is there, and it is a standby")


def _vip_unknown(view: ClusterView, address: str, why: str) -> Finding:
    """Something answers there but does not say who: if all Patronis are well, it should have."""
    healthy = bool(view.patroni) and all(not isinstance(p.itself, Unknown) for p in view.patroni.values())
    if healthy and derive.primary(view) is not None:
        return finding("VIP_NOT_HELD", "database", why)
    return finding("SOURCE_UNKNOWN", "database", f"who holds {address}: {why}")


def _is_standby(view: ClusterView, name: str) -> bool:
    itself = derive.selves(view).get(name)
    return itself is not None and itself.role is DbRole.STANDBY


def unknown_members(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """A Patroni that is silent while its host's own state is unknown as well is neither down nor well."""
    for name, seen in view.patroni.items():
        node = view.nodes.get(name)
        if isinstance(seen.itself, Unknown) and (node is None or node.state is State.UNKNOWN):
            yield finding("SOURCE_UNKNOWN", name, seen.itself.why)


CHECKS = (
    writable_primary,
    vip,
    standby_streams,
    same_timeline,
    supervised,
    unknown_members,
    paused,
    pending_restart,
)
