"""How etcd's members give back the space that they do not use, without an outage. Pure.

A member that defragments answers nobody: a minute for 2 GiB, milliseconds for what hactl writes. So: one at a
time, only while all others are well, and the leader last, when it leads no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hactl.decide.plan import Veto
from hactl.units import Bytes
from hactl.view.model import EtcdAlarm, EtcdStatus, Unknown

NOSPACE = "NOSPACE"
NOT_MENDED = "etcd is not mended"
HINT = "bring etcd back there first: hactl etcd show; hactl node logs NODE --unit etcd"


@dataclass(frozen=True)
class Compact:
    """Forget what keys were before now. Nothing that hactl or Patroni does reads it."""

    def __str__(self) -> str:
        return "compact: forget what keys were before now"


@dataclass(frozen=True)
class Defragment:
    node: str

    def __str__(self) -> str:
        return f"defragment {self.node}, and wait until it is well again"


@dataclass(frozen=True)
class HandOver:
    """Etcd's leadership, from `node` to `to`."""

    node: str
    to: str
    member_id: str

    def __str__(self) -> str:
        return f"hand etcd's leadership from {self.node} to {self.to}"


@dataclass(frozen=True)
class Disarm:
    alarm: EtcdAlarm

    def __str__(self) -> str:
        return f"take back the alarm {self.alarm.kind} of member {self.alarm.member_id}"


Step = Compact | Defragment | HandOver | Disarm


@dataclass(frozen=True)
class Mending:
    """`vetoes`: none, go ahead; without a leader that is known there are no steps."""

    steps: tuple[Step, ...] = ()
    vetoes: tuple[Veto, ...] = ()


def mending(
    members: Mapping[str, EtcdStatus | Unknown], alarms: Sequence[EtcdAlarm], prefer: Sequence[str] = ()
) -> Mending:
    """`members` by node, all voters. `prefer`: who shall lead rather than others, witnesses as a rule."""
    well = {n: s for n, s in members.items() if isinstance(s, EtcdStatus) and s.leader_id}
    vetoes = []
    if missing := [n for n in members if n not in well]:
        said = f"etcd is not well on {', '.join(missing)}: with another busy there would be no majority"
        vetoes.append(Veto("ETCD_DEGRADED", said))
    leader = next((n for n, s in well.items() if s.member_id == s.leader_id), None)
    if leader is None:
        vetoes.append(Veto("ETCD_NO_LEADER", "none of the spec's voters that answer is etcd's leader"))
        return Mending(vetoes=tuple(vetoes))
    return Mending(tuple(_steps(members, leader, alarms, prefer)), tuple(vetoes))


def _steps(
    members: Mapping[str, EtcdStatus | Unknown],
    leader: str,
    alarms: Sequence[EtcdAlarm],
    prefer: Sequence[str],
) -> Iterator[Step]:
    others = {n: s for n, s in members.items() if n != leader}
    yield Compact()
    yield from (Defragment(n) for n in others)
    ready = {n: s.member_id for n, s in others.items() if isinstance(s, EtcdStatus)}
    if ready:
        to = next(n for n in (*prefer, *ready) if n in ready)
        yield HandOver(leader, to, ready[to])
    yield Defragment(leader)
    yield from (Disarm(a) for a in alarms if a.kind == NOSPACE)


def full_of_keys(size: Bytes, quota: int) -> bool:
    """Whether what is left still is more than half of the quota: then keys must be removed."""
    return size.value > quota // 2
