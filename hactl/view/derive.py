"""What follows from a view by itself: members merged from all sources, the primary, the quorum."""

from __future__ import annotations

from dataclasses import dataclass

from hactl.units import Bytes
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import (
    ClusterMember,
    DbRole,
    EtcdMember,
    EtcdStatus,
    PatroniCluster,
    PatroniSelf,
    Unknown,
)


@dataclass(frozen=True)
class Member:
    """One database member. Role and state are its own word or unknown; `leader`: it holds the leader key."""

    name: str
    role: DbRole
    state: str
    leader: bool
    sync: bool | None
    timeline: int | None
    lag: Bytes | None
    why: str = ""


def selves(view: ClusterView) -> dict[str, PatroniSelf]:
    """The members that answered for themselves."""
    return {n: p.itself for n, p in view.patroni.items() if isinstance(p.itself, PatroniSelf)}


def primaries(view: ClusterView) -> tuple[str, ...]:
    """The nodes whose own Patroni says: primary, running. More than one is a split brain."""
    return tuple(name for name, itself in selves(view).items() if itself.serves_writes)


def primary(view: ClusterView) -> str | None:
    found = primaries(view)
    return found[0] if len(found) == 1 else None


def cluster(view: ClusterView) -> PatroniCluster | None:
    """What the members say of all: the primary's word first, as it is the one that writes the keys."""
    answers = {n: p.cluster for n, p in view.patroni.items() if isinstance(p.cluster, PatroniCluster)}
    return next((answers[n] for n in (*primaries(view), *answers) if n in answers), None)


def keys(view: ClusterView) -> Dcs | None:
    """The newest linearizable read; None when no etcd member gave one (no quorum, or none reached)."""
    found = [e.keys for e in view.etcd.values() if isinstance(e.keys, Dcs)]
    return max(found, key=lambda k: k.revision, default=None)


def leader(view: ClusterView) -> str | None:
    """The holder of the leader key: from etcd, else as the Patronis know it."""
    read = keys(view)
    if read is not None:
        return read.patroni.leader.node if read.patroni.leader else None
    known = cluster(view)
    return next((m.name for m in known.members if m.leader), None) if known else None


def paused(view: ClusterView) -> bool | None:
    """None when nobody could say."""
    known = cluster(view)
    answers = [s.paused for s in selves(view).values()] + ([known.paused] if known else [])
    return any(answers) if answers else None


def timeline(view: ClusterView) -> int | None:
    name = primary(view)
    return selves(view)[name].timeline if name else None


def members(view: ClusterView) -> tuple[Member, ...]:
    known = cluster(view)
    listed = {m.name: m for m in known.members} if known else {}
    return tuple(_member(view, name, listed.get(name)) for name in view.patroni)


def _member(view: ClusterView, name: str, listed: ClusterMember | None) -> Member:
    holds = leader(view) == name
    itself = view.patroni[name].itself
    if isinstance(itself, Unknown):
        return Member(name, DbRole.UNKNOWN, "unknown", holds, None, None, None, itself.why)
    state = itself.replication_state or itself.state if itself.state == "running" else itself.state
    standby = itself.role is DbRole.STANDBY
    return Member(
        name=name,
        role=itself.role,
        state=state,
        leader=holds,
        sync=_sync(view, itself) if standby else None,
        timeline=itself.timeline,
        lag=_lag(view, itself, listed) if standby else None,
    )


def _sync(view: ClusterView, itself: PatroniSelf) -> bool:
    read = keys(view)
    return itself.sync if read is None else itself.name in read.patroni.sync_standbys


def _lag(view: ClusterView, itself: PatroniSelf, listed: ClusterMember | None) -> Bytes | None:
    """Both ends' own positions, read at the same moment; else what etcd has, a loop of Patroni older."""
    name = primary(view)
    written = selves(view)[name].lsn if name else None
    if written is not None and itself.lsn is not None:
        return Bytes(max(0, (written - itself.lsn).value))
    return listed.lag if listed else None


def etcd_answers(view: ClusterView) -> dict[str, EtcdStatus]:
    return {n: e.status for n, e in view.etcd.items() if isinstance(e.status, EtcdStatus)}


def etcd_leader(view: ClusterView) -> str | None:
    """The member that a majority of the spec's voters call leader; None without such a majority."""
    chosen = _elected(view)
    if chosen is None:
        return None
    own = {s.member_id: n for n, s in etcd_answers(view).items()}
    return own.get(chosen) or _etcd_names(view).get(chosen)


def _elected(view: ClusterView) -> str | None:
    votes = [s.leader_id for s in etcd_answers(view).values() if s.leader_id]
    return next((v for v in votes if votes.count(v) * 2 > len(view.etcd)), None)


def _etcd_names(view: ClusterView) -> dict[str, str]:
    return {m.member_id: m.name for m in etcd_members(view)}


def etcd_members(view: ClusterView) -> tuple[EtcdMember, ...]:
    """The members as etcd lists them; empty when nobody gave the list."""
    return next((e.members for e in view.etcd.values() if not isinstance(e.members, Unknown)), ())


def etcd_quorum(view: ClusterView) -> bool | None:
    """True: a linearizable read came back, or a majority names one leader.

    False: members answer and none of them knows a leader. None: too few answers to say either.
    """
    if keys(view) is not None or _elected(view) is not None:
        return True
    answers = etcd_answers(view)
    return None if not answers or any(s.leader_id for s in answers.values()) else False
