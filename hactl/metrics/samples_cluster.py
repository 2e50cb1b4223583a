"""Samples of the slow look: nodes, database, etcd, archive, virtual IPs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.decide.health_archive import can_serve
from hactl.metrics.seen import Row, Seen
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.archive import ArchiveState
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.derive import Member
from hactl.view.model import DbRole, Probe, State, Unknown


def samples(spec: ClusterSpec, seen: Seen) -> Iterator[Row]:
    yield from _paused(seen)
    yield from _vips(spec, seen)
    if seen.dcs is not None:
        yield from _archive_states(seen.dcs)
    if seen.view is not None:
        yield from _nodes(seen.view)
        yield from _database(seen.view)
        yield from _etcd(seen.view)
        yield from _archive(seen.view)


def _paused(seen: Seen) -> Iterator[Row]:
    answers = [] if seen.view is None else [derive.paused(seen.view)]
    if seen.dcs is not None:
        answers += [seen.dcs.paused, seen.dcs.patroni.paused]
    if any(answer is not None for answer in answers):
        yield "hactl_paused", (), float(any(answers))


def _nodes(view: ClusterView) -> Iterator[Row]:
    for node, probe in view.nodes.items():
        yield from _answer("hactl_node_up", (node,), probe)


def _answer(name: str, labels: tuple[str, ...], probe: Probe) -> Iterator[Row]:
    if probe.state is not State.UNKNOWN:
        yield name, labels, float(probe.ok)


def _database(view: ClusterView) -> Iterator[Row]:
    selves = derive.selves(view)
    for member in derive.members(view):
        for role in DbRole:
            yield "hactl_database_role", (member.name, role.value), float(member.role is role)
        yield "hactl_database_leader", (member.name,), float(member.leader)
        if member.timeline is not None:
            yield "hactl_database_timeline", (member.name,), member.timeline
        if member.sync is not None:
            yield "hactl_database_sync", (member.name,), float(member.sync)
        if member.lag is not None:
            replayed = selves[member.name].replayed_at if member.name in selves else None
            yield from _lag(view.at, member, replayed)


def _lag(at: float, member: Member, replayed: float | None) -> Iterator[Row]:
    lag = member.lag.value if member.lag else 0
    yield "hactl_database_lag_bytes", (member.name,), lag
    if lag == 0:
        yield "hactl_database_lag_seconds", (member.name,), 0
    elif replayed is not None:
        yield "hactl_database_lag_seconds", (member.name,), max(0.0, at - replayed)


def _vips(spec: ClusterSpec, seen: Seen) -> Iterator[Row]:
    """Held, as each node's agent says; who answers at the address holds it whatever the agents say."""
    facts = seen.dcs.facts if seen.dcs else {}
    views = seen.view.vips if seen.view else {}
    holders = {"database": spec.databases, "archive": spec.archives}
    for name, vip in spec.vips.by_name.items():
        answers = views[name].holder if name in views else Unknown("not asked")
        known = not isinstance(answers, Unknown)
        if known:
            yield "hactl_vip_answers", (name,), float(answers is not None)
        for node in holders[name]:
            if node in facts:
                has = str(vip.address.ip) in facts[node].vips or answers == node
                yield "hactl_vip_held", (name, node), float(has)
            elif known:
                yield "hactl_vip_held", (name, node), float(answers == node)


def _etcd(view: ClusterView) -> Iterator[Row]:
    leader = derive.etcd_leader(view)
    answers = derive.etcd_answers(view)
    for node in view.etcd:
        status = answers.get(node)
        yield "hactl_etcd_member_up", (node,), float(status is not None and bool(status.leader_id))
        if status is not None:
            yield "hactl_etcd_db_bytes", (node,), status.db_size.value
        if leader is not None:
            yield "hactl_etcd_leader", (node,), float(node == leader)
    quorum = derive.etcd_quorum(view)
    if quorum is not None:
        yield "hactl_etcd_quorum", (), float(quorum)


def _archive_states(dcs: Dcs) -> Iterator[Row]:
    for node, mark in dcs.archive_states.items():
        for state in ArchiveState:
            yield "hactl_archive_state", (node, state.value), float(mark.state is state)


def _archive(view: ClusterView) -> Iterator[Row]:
    for node, archive in view.archives.items():
        for level, probe in archive.levels.items():
            yield from _answer("hactl_archive_level", (node, level), probe)
        serves = can_serve(archive)
        if serves is not None:
            yield "hactl_archive_serves", (node,), float(serves)
