"""How etcd's members give back the space that they do not use, without an outage. Pure.

A member that defragments answers nobody: a minute for 2 GiB, milliseconds for what hactl writes. So: one at a
time, only while all others are well, and the leader last, when it leads no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hactl.errors import Refused
from hactl.units import Bytes
from hactl.view.model import EtcdAlarm, EtcdStatus, Unknown

NOSPACE = "NOSPACE"


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


def steps(
    members: Mapping[str, EtcdStatus | Unknown], alarms: Sequence[EtcdAlarm], prefer: Sequence[str] = ()
) -> tuple[Step, ...]:
    """`members` by node, all voters. `prefer`: who shall lead rather than others, witnesses as a rule.

    Raises:
        Refused: a member is not well; busy with itself, another one would cost the majority.

    """
    well = _all_well(members)
    leader = next((n for n, s in well.items() if s.member_id == s.leader_id), None)
    if leader is None:
        raise Refused("etcd has no leader among the spec's voters", hint="hactl status")
    others = [n for n in well if n != leader]
    found: list[Step] = [Compact(), *(Defragment(n) for n in others)]
    if others:
        to = next((n for n in prefer if n in others), others[0])
        found.append(HandOver(leader, to, well[to].member_id))
    found.append(Defragment(leader))
    return (*found, *(Disarm(a) for a in alarms if a.kind == NOSPACE))


def _all_well(members: Mapping[str, EtcdStatus | Unknown]) -> dict[str, EtcdStatus]:
    well = {n: s for n, s in members.items() if isinstance(s, EtcdStatus) and s.leader_id}
    if missing := [n for n in members if n not in well]:
        said = ", ".join(missing)
        raise Refused(
            f"etcd is not well on {said}: with another member busy there would be no majority",
            hint=f"bring etcd back there first: ssh hactl@{missing[0]} logs etcd.service 50",
        )
    return well


def full_of_keys(size: Bytes, quota: int) -> bool:
    """Whether what is left still is more than half of the quota: then keys must be removed."""
    return size.value > quota // 2
