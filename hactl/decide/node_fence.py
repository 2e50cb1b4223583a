"""Fencing a database node by hand, and letting it in again. Pure.

The key fence/NODE keeps the node from serving for as long as it stands, over reboots too. The controller
leaves fences set by hand alone, and fails nothing over while one stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hactl.decide import node_actions as common
from hactl.decide.maintenance import Answer
from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, FenceIntent, Leader

BY_HAND: Final = "by-hand-"


@dataclass(frozen=True)
class Fencing:
    """`primary`: it leads. `power`: a fence agent can prove it silent. `takes_over`: empty: nobody would."""

    node: str
    primary: bool = False
    power: bool = False
    takes_over: str = ""
    vetoes: tuple[Veto, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Meant:
    """`force`: also the primary. `alone`: also if nobody takes over then. `power`: its power shall be cut."""

    force: bool = False
    alone: bool = False
    power: bool = False


def may_fence(spec: ClusterSpec, view: ClusterView, node: str, meant: Meant = Meant()) -> Fencing:
    """What is `meant` helps against the vetoes that it names, against no other."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Fencing(node, vetoes=dcs)
    leader = dcs.patroni.leader
    leads = (leader is not None and leader.node == node) or derive.primary(view) == node
    heir = _heir(spec, view, dcs, node) if leads else ""
    vetoes = [*_against(spec, dcs, node), *_unproved(spec, dcs, node, power=meant.power)]
    if leads and not meant.force:
        vetoes.append(
            Veto("IS_PRIMARY", f"{node} is the primary: hactl switchover gives the role away first")
        )
    if leads and not heir and not meant.alone:
        vetoes.append(Veto("NOBODY_TAKES_OVER", "no synchronous standby streams: the database would be down"))
    device, notes = node in spec.fencing.agents, tuple(_notes(node, leads=leads, heir=heir))
    return Fencing(node, leads, device, heir, tuple(vetoes), notes)


def _unproved(spec: ClusterSpec, dcs: Dcs, node: str, *, power: bool) -> Iterator[Veto]:
    if node in spec.fencing.agents:
        return
    if power:
        yield Veto("NO_FENCE_AGENT", f"the spec names no fence agent for {node}")
    if node not in dcs.facts:
        yield Veto(
            "NOT_PROVABLE",
            f"nothing could prove {node} silent: its agent does not report, and it has no fence agent",
        )


def _against(spec: ClusterSpec, dcs: Dcs, node: str) -> Iterator[Veto]:
    if dcs.incident is not None:
        yield Veto("INCIDENT_OPEN", "a failover is under way: the controller fences by itself")
    if dcs.patroni.leader is None:
        yield Veto("NO_PRIMARY", "nobody holds the leader key: whoever is fenced now may be all there is")
    for other in dcs.fences:
        if other == node:
            yield Veto("ALREADY_FENCED", f"{node} is fenced already", dcs.fences[node].reason)
        elif other in spec.databases:
            yield Veto(
                "OTHER_FENCED", f"{other} is fenced: never both database nodes", dcs.fences[other].reason
            )
    for other, work in dcs.maintenance.items():
        if other in spec.databases and other != node and work.stopped:
            yield Veto("OTHER_STOPPED", f"{other} was stopped by {work.by}: nobody would serve", work.why)


def _heir(spec: ClusterSpec, view: ClusterView, dcs: Dcs, node: str) -> str:
    """Who takes over: named as synchronous, streaming, its agent there."""
    members = {m.name: m for m in derive.members(view)}
    fit = (
        n
        for n in spec.databases
        if n != node and n in dcs.patroni.sync_standbys and n in dcs.facts and members[n].state == "streaming"
    )
    return next(fit, "")


def _notes(node: str, *, leads: bool, heir: str) -> Iterator[str]:
    yield (
        f"PostgreSQL on {node} is killed, not stopped; it stays down, over reboots too, until "
        f"`hactl node unfence {node}`"
    )
    if not leads:
        yield "the other node commits alone until then, and no failover is possible"
        return
    yield "every session ends; what was not acknowledged yet may be lost"
    if heir:
        yield f"nobody can write until {heir} has taken over: seconds"
    else:
        yield "NOBODY TAKES OVER: no synchronous standby streams. The database is down until it is unfenced"


def intent(dcs: Dcs, node: str, by: str, reason: str) -> FenceIntent:
    """Raises ValueError: nobody leads (see the veto NO_PRIMARY)."""
    leader: Leader | None = dcs.patroni.leader
    if leader is None:
        raise ValueError("nobody holds the leader key")
    epoch = dcs.epoch + 1
    return FenceIntent(node, epoch, f"{BY_HAND}{epoch}", by, leader, reason or "by hand")


def may_unfence(view: ClusterView, node: str) -> Answer:
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    fence = dcs.fences.get(node)
    if fence is None:
        return Answer((Veto("NOT_FENCED", f"{node} is not fenced"),))
    vetoes: list[Veto] = []
    if not fence.incident.startswith(BY_HAND):
        vetoes.append(
            Veto("CONTROLLERS_FENCE", f"{node} was fenced by {fence.by} in {fence.incident}, "
                 "who lets it in again as soon as that is safe")
        )  # fmt: skip
    leader = dcs.patroni.leader
    if leader is None:
        pass  # it may be the only one that there is
    elif leader.node == node:
        vetoes.append(Veto("STILL_LEADS", f"{node} still holds the leader key: wait until it has expired"))
    return Answer(tuple(vetoes))
