"""etcd: its majority is what keeps the primary writable."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import Unknown


def quorum(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    answer = derive.etcd_quorum(view)
    if answer is False:
        yield finding("ETCD_NO_QUORUM", detail="the members that answer know no leader")
    if answer is None and view.etcd:
        yield finding("SOURCE_UNKNOWN", "etcd", "whether etcd has a majority: too few members answer")


def members_answer(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for name, seen in view.etcd.items():
        if isinstance(seen.status, Unknown) and not seen.status.untrusted:
            yield finding("ETCD_MEMBER_DOWN", name, seen.status.why)


def members_match(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """A member without a name was added and never started."""
    listed = {m.name or f"(never started, {m.member_id})" for m in derive.etcd_members(view)}
    if not listed:
        return
    wanted = set(spec.voters)
    if missing := sorted(wanted - listed):
        yield finding("ETCD_MEMBERS_DIFFER", "etcd", f"not a member: {', '.join(missing)}")
    if foreign := sorted(listed - wanted):
        yield finding("ETCD_MEMBERS_DIFFER", "etcd", f"not in the spec: {', '.join(foreign)}")


def alarms(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for name, status in derive.etcd_answers(view).items():
        errors = [e for e in status.errors if "no leader" not in e]
        if errors:
            yield finding("ETCD_ALARM", name, "; ".join(errors))


def leader_place(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    primary = derive.primary(view)
    if primary is not None and derive.etcd_leader(view) == primary:
        yield finding("ETCD_LEADER_ON_PRIMARY", primary)


CHECKS = (quorum, members_answer, members_match, alarms, leader_place)
