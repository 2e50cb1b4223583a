"""A failover that a person orders: what stands against it, what may be overruled, what would be lost. Pure.

`hard` vetoes protect from two primaries and from a target that has no whole copy: nobody overrules them.
`soft` ones say what it costs: rows, sessions, or what somebody else has asked for; --force overrules them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hactl.decide import limits
from hactl.decide import node_actions as common
from hactl.decide.node_fence import BY_HAND
from hactl.decide.plan import Veto
from hactl.decide.vetoes import lease_gap
from hactl.spec.model import ClusterSpec
from hactl.units import Bytes, Lsn
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, FenceIntent, Leader, Mode
from hactl.view.incident import Incident
from hactl.view.model import DbRole, PatroniSelf

MAX_LAG: Final = 1 << 20  # bytes, as for a switchover


@dataclass(frozen=True)
class Loss:
    """What the target lacks, as far as anybody knows. `behind`: None: nobody can say.

    `commit_age`: seconds since the last commit that the target has was made, by the clocks of both nodes.
    """

    nothing: bool
    behind: Bytes | None = None
    commit_age: float | None = None

    @property
    def said(self) -> str:
        if self.nothing:
            return "nothing that was acknowledged is lost: the target is synchronous"
        behind = "how far it is behind is not known" if self.behind is None else f"it is {self.behind} behind"
        last = "" if self.commit_age is None else f", its last commit was made {self.commit_age:.0f} s ago"
        return f"acknowledged commits may be lost: the target is not synchronous, {behind}{last}"


@dataclass(frozen=True)
class Forced:
    """`victim`: who led, and is fenced first. `named`: Patroni would not promote the target by itself.

    `fence`: stands already, set by hand: it is gone on from there.
    """

    target: str
    victim: str = ""
    leader: Leader | None = None
    named: bool = False
    power: bool = False
    fence: FenceIntent | None = None
    loss: Loss = Loss(nothing=True)
    hard: tuple[Veto, ...] = ()
    soft: tuple[Veto, ...] = ()


def may_force(spec: ClusterSpec, view: ClusterView, to: str) -> Forced:
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Forced(to, hard=dcs)
    leader = dcs.patroni.leader
    others = [node for node in spec.databases if node != to]
    victim = leader.node if leader is not None else others[0] if len(others) == 1 else ""
    named = to not in dcs.patroni.sync_standbys or dcs.patroni.sync_leader != victim
    named = named or leader is None or dcs.patroni.paused
    hard = (*_never_two(spec, view, dcs, victim, to), *_whole(view, dcs, victim, to))
    soft = tuple(_costs(spec, view, dcs, victim, to))
    loss = _loss(view, dcs, victim, to)
    return Forced(
        to, victim, leader, named, victim in spec.fencing.agents, dcs.fences.get(victim), loss, hard, soft
    )


def _never_two(spec: ClusterSpec, view: ClusterView, dcs: Dcs, victim: str, to: str) -> Iterator[Veto]:
    if bad := [p for p in dcs.problems if not any(f"/{k}/" in p for k in ("facts", "done", "members"))]:
        yield Veto("ETCD_UNREADABLE", "a key in etcd cannot be read: it may be a fence", "; ".join(bad))
    if victim not in spec.databases:
        yield Veto(
            "NO_PRIMARY", f"who was the primary is not known: {victim or 'nobody'} holds the leader key"
        )
        return
    if victim == to or to in derive.primaries(view):
        yield Veto("ALREADY_PRIMARY", f"{to} is the primary")
    if dcs.incident is not None:
        yield Veto(
            "INCIDENT_OPEN",
            "the controller's own failover is under way: two would cross each other"
            + ("" if dcs.active else "; no controller is active to end it: start one"),
        )
    for node, fence in dcs.fences.items():
        if node == to:
            yield Veto("TARGET_FENCED", f"{to} is fenced itself: hactl node unfence {to}", fence.reason)
        elif not fence.incident.startswith(BY_HAND):
            yield Veto("FENCE_OPEN", f"the controller has fenced {node} in {fence.incident}", fence.reason)
    if why := _unprovable(spec, dcs, victim):
        yield Veto("NOT_PROVABLE", f"nothing could prove {victim} silent: {why}; then both might serve")


def _unprovable(spec: ClusterSpec, dcs: Dcs, victim: str) -> str:
    """Power, lease or the agent's own word: any of them is enough. Empty: there is one."""
    if victim in spec.fencing.agents or victim in dcs.facts:
        return ""
    gap = lease_gap(dcs, victim)
    return f"its agent does not report, it has no fence agent, and of its lease: {gap}" if gap else ""


def _whole(view: ClusterView, dcs: Dcs, victim: str, to: str) -> Iterator[Veto]:
    """The target must be a running standby of this cluster's newest history."""
    itself = derive.selves(view).get(to)
    if itself is None:
        why = next((m.why for m in derive.members(view) if m.name == to), "")
        yield Veto("TARGET_UNKNOWN", f"Patroni on {to} does not answer", why)
        return
    if itself.role is not DbRole.STANDBY or itself.state != "running":
        if itself.role is not DbRole.PRIMARY:
            yield Veto("TARGET_DOWN", f"PostgreSQL on {to} is no running standby", itself.state)
        elif victim != to and not itself.serves_writes:
            yield Veto("TARGET_DOWN", f"{to} was a primary that does not run", itself.state)
    if not itself.identified:
        yield Veto("DATA_INCOMPLETE", f"the data folder of {to} is not whole: it has no system identifier")
    facts = dcs.facts.get(to)
    if facts is not None and facts.joining:
        yield Veto("JOINING", f"{to} is just being made a standby again", facts.joining)
    newest = _newest_timeline(view, dcs, victim)
    if itself.timeline is None:
        yield Veto("TIMELINE_UNKNOWN", f"Patroni does not say on which timeline {to} is")
    elif newest is not None and itself.timeline < newest:
        said = f"{to} is on timeline {itself.timeline}, the newest is {newest}"
        yield Veto("OTHER_TIMELINE", f"{said}: what came after the fork is not there")


def _newest_timeline(view: ClusterView, dcs: Dcs, victim: str) -> int | None:
    member, alive = dcs.patroni.members.get(victim), derive.selves(view).get(victim)
    known = (member.timeline if member else None, alive.timeline if alive else None, dcs.patroni.timeline)
    return max((t for t in known if t is not None), default=None)


def _costs(spec: ClusterSpec, view: ClusterView, dcs: Dcs, victim: str, to: str) -> Iterator[Veto]:
    if victim in derive.primaries(view):
        yield Veto(
            "PRIMARY_ANSWERS",
            f"{victim} runs as the primary: `hactl switchover` loses no session's work; this kills it",
        )
    if dcs.paused:
        by = f"by {dcs.pause.by}: {dcs.pause.reason}" if dcs.pause else ""
        yield Veto("PAUSED", "somebody paused hactl, or deploys", by)
    if dcs.patroni.paused:
        yield Veto("PATRONI_PAUSED", "Patroni is paused")
    if to not in dcs.patroni.sync_standbys:
        yield Veto("NOT_IN_SYNC", f"/sync does not name {to}: acknowledged commits may be missing there")
    elif dcs.patroni.sync_leader != victim:
        holder = dcs.patroni.sync_leader or "nobody"
        yield Veto("SYNC_NOT_THE_LEADERS", f"/sync is {holder}'s, not {victim}'s: it says nothing of {to}")
    behind = _behind(view, dcs, victim, to)
    if behind is not None and behind.value > MAX_LAG:
        yield Veto("STANDBY_LAGGING", f"{to} is {behind} behind")
    if dcs.recent_failovers >= limits.PER_HOUR:
        said = f"{dcs.recent_failovers} automatic failovers within the last hour"
        yield Veto("TOO_MANY_FAILOVERS", f"{said}: another one rarely mends what they did not")
    yield from _people(spec, dcs, to)


def _people(spec: ClusterSpec, dcs: Dcs, to: str) -> Iterator[Veto]:
    if (work := dcs.maintenance.get(to)) is not None:
        yield Veto("IN_MAINTENANCE", f"{work.by} works on {to}", work.why)
    if to not in dcs.facts and dcs.modes.get(to) is not Mode.OPEN and to in spec.databases:
        yield Veto("AGENT_SILENT", f"the agent of {to} does not report: the VIP may not come there")


def _loss(view: ClusterView, dcs: Dcs, victim: str, to: str) -> Loss:
    if to in dcs.patroni.sync_standbys and dcs.patroni.sync_leader == victim:
        return Loss(nothing=True)
    itself = derive.selves(view).get(to)
    at = itself.replayed_at if itself is not None else None
    age = None if at is None else max(0.0, view.at - at)
    return Loss(nothing=False, behind=_behind(view, dcs, victim, to), commit_age=age)


def _behind(view: ClusterView, dcs: Dcs, victim: str, to: str) -> Bytes | None:
    """The victim's own position if it answers, else what its Patroni last wrote into etcd: at least that."""
    itself, written = derive.selves(view).get(to), _written(view, dcs, victim)
    if itself is None or itself.lsn is None or written is None:
        return None
    return Bytes(max(0, (written - itself.lsn).value))


def _written(view: ClusterView, dcs: Dcs, victim: str) -> Lsn | None:
    alive: PatroniSelf | None = derive.selves(view).get(victim)
    if alive is not None and alive.lsn is not None:
        return alive.lsn
    member = dcs.patroni.members.get(victim)
    known = (member.lsn if member is not None else None, dcs.patroni.written)
    return max((at for at in known if at is not None), key=lambda at: at.value, default=None)


def intent(dcs_epoch: int, found: Forced, by: str, reason: str) -> FenceIntent:
    """Where nobody leads the intent says so: a leadership without a revision."""
    epoch = dcs_epoch + 1
    leader = found.leader or Leader(found.victim, 0, 0)
    why = reason or f"failover to {found.target} by hand"
    return FenceIntent(found.victim, epoch, f"{BY_HAND}{epoch}", by, leader, why)


def incident(found: Forced, wanted: FenceIntent, reason: str) -> Incident:
    """What `hactl incident` shows of it, with what somebody overruled and knew to be at stake."""
    details = {"by": wanted.by, "reason": reason, "loss": found.loss.said}
    overruled = {"overruled": ", ".join(v.code for v in found.soft)} if found.soft else {}
    return Incident(
        wanted.incident, "failover", found.victim, found.target, wanted.epoch, automatic=False,
        details={**details, **overruled},
    )  # fmt: skip
