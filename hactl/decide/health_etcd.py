"""etcd: its majority is what keeps the primary writable."""

from __future__ import annotations

from collections.abc import Iterator

from hactl import layout
from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.units import Bytes
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import Unknown

NOSPACE = "NOSPACE"
LARGE = 0.6  # of the quota


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
    learners = sorted(m.name for m in derive.etcd_members(view) if m.learner and m.name in wanted)
    if learners:
        yield finding("ETCD_MEMBERS_DIFFER", "etcd", f"takes part without a vote: {', '.join(learners)}")
    if foreign := sorted(listed - wanted):
        yield finding("ETCD_MEMBERS_DIFFER", "etcd", f"not in the spec: {', '.join(foreign)}")


def alarms(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for name, status in derive.etcd_answers(view).items():
        errors = [e for e in status.errors if "no leader" not in e and NOSPACE not in e]
        if errors:
            yield finding("ETCD_ALARM", name, "; ".join(errors))


def space(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The alarm is one for all members, and stands until somebody takes it back."""
    answers = derive.etcd_answers(view)
    sizes = ", ".join(f"{status.db_size} on {name}" for name, status in answers.items())
    if any(NOSPACE in error for status in answers.values() for error in status.errors):
        yield finding("ETCD_NOSPACE", "etcd", f"its alarm {NOSPACE} stands; {sizes}")
        return
    for name, status in answers.items():
        if status.db_size.value >= LARGE * layout.ETCD_QUOTA:
            used = f"{status.db_size}, of which {status.db_used} are in use"
            yield finding("ETCD_DB_LARGE", name, f"{used}; the quota is {Bytes(layout.ETCD_QUOTA)}")


def leader_place(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    primary = derive.primary(view)
    if primary is not None and derive.etcd_leader(view) == primary:
        yield finding("ETCD_LEADER_ON_PRIMARY", primary)


CHECKS = (quorum, members_answer, members_match, space, alarms, leader_place)
