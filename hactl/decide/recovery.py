"""Bringing back what came back: restart a unit, else rejoin, else copy anew; bounded, and never at any risk.

Patroni joins a member again by itself within seconds. This is for what it cannot, or does not get done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.decide import lastcopy
from hactl.decide.budgets import REINIT, REJOIN, limit
from hactl.decide.pacing import Pulses, Seen, again, hands_off, left_alone, used_up
from hactl.decide.plan import GiveOrder, Plan, Reinitialize, Step, Veto, alarm
from hactl.spec.model import ClusterSpec
from hactl.view.archive import DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, Dcs
from hactl.view.incident import Phase
from hactl.view.model import DbRole, PatroniSelf, Unknown

PATRONI: Final = "patroni.service"
# The agent that would have to restart itself cannot; keepalived is looked at more closely (decide/grey.py).
_NOT_HERE: Final = frozenset({"hactl-agent.service", "keepalived.service"})
_SERVE_IMAGES: Final = frozenset({"orthanc.service", "nginx.service"})
_DOWN: Final = frozenset({"failed", "inactive"})
_UNIT_GRACE: Final = 10.0  # a deployment restarts units; systemd itself restarts them after 1 to 5 s
_PATRONI_GRACE: Final = 3.0  # without it nobody renews the leader key, which lives 20 s

# How long a member may be in a state of Patroni's before hactl helps. `stopped` may hide a crash recovery;
# a rewind or a copy of a large database takes hours, and an interrupted rewind leaves nothing of use.
_GRACE: Final[Mapping[str, float]] = {
    "running": 45.0,
    "start failed": 20.0,
    "stopped": 120.0,
    "crashed": 120.0,
    "starting": 300.0,
    "creating replica": 600.0,
}
_USUAL_GRACE: Final = 120.0
_NO_WAL_GRACE: Final = 10.0  # at one and the same position: what a member has itself it replays first
_DAMAGED_GRACE: Final = 20.0
_JOINING_GRACE: Final = 6 * 3600.0
_DATA_UNDER_WAY: Final = frozenset({"running", "creating replica"})  # or there is nothing yet


@dataclass(frozen=True)
class RecoveryMemory:
    """What is in trouble, by node and unit; the unit is empty for the database member itself."""

    pulses: Pulses = field(default_factory=Pulses)
    seen: Mapping[tuple[str, str], Seen] = field(default_factory=dict)


@dataclass(frozen=True)
class _Look:
    spec: ClusterSpec
    cluster: ClusterView
    dcs: Dcs
    pulses: Pulses
    now: float

    def agent(self, node: str) -> AgentFacts | None:
        return self.pulses.fresh(self.dcs, node, self.now)


@dataclass(frozen=True)
class _Trouble:
    """How something looks that is not well, and how long it may. `hopeless`: only a copy helps."""

    what: str
    grace: float
    hopeless: bool = False


@dataclass(frozen=True)
class _Due:
    """A trouble that has lasted long enough. `rung` empty: nothing is left to try."""

    node: str
    unit: str
    seen: Seen
    rung: str


def decide_recovery(
    spec: ClusterSpec, cluster: ClusterView, dcs: Dcs, memory: RecoveryMemory, now: float
) -> tuple[Plan, RecoveryMemory]:
    """At most one act for each node."""
    look = _Look(spec, cluster, dcs, memory.pulses.after(dcs, now), now)
    troubles = {**_units(look), **_members(look)}
    found = {key: t for key, t in troubles.items() if left_alone(dcs, key[0]) is None}
    seen = {key: again(memory.seen.get(key), trouble.what, now) for key, trouble in found.items()}
    steps: dict[str, Step] = {}
    vetoes: list[Veto] = []
    alarms: list[str] = []
    for due in _due(look, found, seen):
        against = _against(look, due)
        vetoes += against
        alarms += _alarms(due, against)
        if against or due.node in steps or due.seen.waits(now):
            continue
        steps[due.node] = _step(due)
        seen[due.node, due.unit] = due.seen.tried(now)
    return Plan(tuple(steps.values()), tuple(vetoes), alarms=tuple(alarms)), RecoveryMemory(look.pulses, seen)


def _units(look: _Look) -> dict[tuple[str, str], _Trouble]:
    """Units that do not run, as their node's agent sees it."""
    found = {}
    for node in look.spec.nodes:
        facts = look.agent(node)
        for unit, state in facts.units.items() if facts else ():
            if unit in _SERVE_IMAGES and _kept_out(look, node):
                continue
            if state in _DOWN and unit.endswith(".service") and unit not in _NOT_HERE:
                grace = _PATRONI_GRACE if unit == PATRONI else _UNIT_GRACE
                found[node, unit] = _Trouble(f"{unit} is {state}", grace)
    return found


def _kept_out(look: _Look, node: str) -> bool:
    """Its agent guards a wrong storage, or somebody works on it: it may have been stopped on purpose."""
    facts, drain = look.agent(node), look.dcs.drains.get(node)
    guarded = facts is not None and facts.archive is not None and bool(facts.archive.out_for)
    return guarded or (drain is not None and drain.by is not DrainBy.LADDER)


def _members(look: _Look) -> dict[tuple[str, str], _Trouble]:
    """Database members that answer and do not follow the primary."""
    leader = look.dcs.patroni.leader
    if leader is None:
        return {}
    found = {}
    for node in look.spec.databases:
        itself = _itself(look.cluster, node)
        if node == leader.node or itself is None or itself.role is DbRole.PRIMARY:
            continue
        trouble, facts = _trouble(look, itself, leader.node), look.agent(node)
        if trouble and facts and facts.joining:
            trouble = _Trouble(f"{trouble.what}; {facts.joining} is at work", _JOINING_GRACE)
        if trouble:
            found[node, ""] = trouble
    return found


def _itself(cluster: ClusterView, node: str) -> PatroniSelf | None:
    seen = cluster.patroni.get(node)
    return None if seen is None or isinstance(seen.itself, Unknown) else seen.itself


def _trouble(look: _Look, itself: PatroniSelf, leader: str) -> _Trouble | None:
    grace = _GRACE.get(itself.state, _USUAL_GRACE)
    if not itself.identified and itself.state not in _DATA_UNDER_WAY:
        return _Trouble("its data are damaged: they have no system identifier", _DAMAGED_GRACE, hopeless=True)
    if itself.state != "running":
        return _Trouble(f"its PostgreSQL is: {itself.state}", grace, _slot_lost(look, itself.name))
    if itself.replication_state != "streaming":
        if _wal_gone(look, itself, leader):
            what = f"the primary has thrown away the WAL that it needs from {itself.lsn} on"
            return _Trouble(what, _NO_WAL_GRACE, hopeless=True)
        return _Trouble("it does not stream", grace)
    primary = _itself(look.cluster, leader)
    if primary is None or None in (primary.timeline, itself.timeline) or primary.timeline == itself.timeline:
        return None
    return _Trouble(f"it is on timeline {itself.timeline}, the primary on {primary.timeline}", grace)


def _wal_gone(look: _Look, itself: PatroniSelf, leader: str) -> bool:
    """Its slot is lost; or there is none from the time when it was away, as after hours, and the WAL is gone.

    A member that has WAL from elsewhere says so: `in archive recovery`.
    """
    facts = look.agent(leader)
    if _slot_lost(look, itself.name):
        return True
    if itself.replication_state or facts is None or isinstance(facts.postgres, Unknown):
        return False
    oldest = facts.postgres.oldest
    return oldest is not None and itself.lsn is not None and itself.lsn < oldest


def _due(
    look: _Look, found: Mapping[tuple[str, str], _Trouble], seen: Mapping[tuple[str, str], Seen]
) -> Iterator[_Due]:
    for (node, unit), trouble in found.items():
        since = seen[node, unit]
        if since.lasts >= trouble.grace:
            yield _Due(node, unit, since, _rung(look, node, unit, hopeless=trouble.hopeless))


def _rung(look: _Look, node: str, unit: str, *, hopeless: bool) -> str:
    """The lowest rung that still has budget; a member that no restart can help starts at the top."""
    if unit:
        rungs: tuple[str, ...] = (f"restart:{unit}",)
    else:
        rungs = (REINIT,) if hopeless else (REJOIN, REINIT)
    return next((r for r in rungs if not used_up(look.dcs, node, r)), "")


def _slot_lost(look: _Look, node: str) -> bool:
    leader = look.dcs.patroni.leader
    facts = look.agent(leader.node) if leader else None
    if facts is None or isinstance(facts.postgres, Unknown):
        return False
    return node.lower().replace("-", "_") in facts.postgres.lost_slots  # Patroni's name of a member's slot


def _against(look: _Look, due: _Due) -> list[Veto]:
    """Everything that speaks against acting, with its reasons."""
    node = due.node
    once = Phase.PROMOTED if due.unit else Phase.FIRST_COMMIT
    found = [hands_off(look.dcs, node, once, led_for=look.pulses.led_for(look.dcs, look.now))]
    if not due.rung:
        found.append(Veto("BUDGET", f"{node}: everything was tried within the last hour", due.seen.what))
    if due.rung != REINIT and look.agent(node) is None:
        found.append(Veto("AGENT_SILENT", f"{node}'s agent does not report"))
    if look.pulses.at_work(look.dcs, node, look.now):
        found.append(Veto("ORDER_AT_WORK", f"{node}'s agent has not ended its last order"))
    if not due.unit:
        found += lastcopy.may_join(look.cluster, look.dcs, look.agent(node), node)
    if due.rung == REINIT:
        found += lastcopy.may_be_replaced(look.spec, look.cluster, look.dcs, node)
    return [veto for veto in found if veto is not None]


def _alarms(due: _Due, against: list[Veto]) -> list[str]:
    """The loud stop: nothing more happens here by itself."""
    final = [v for v in against if v.code in {"BUDGET", "DISK_FULL", "NEWER_TIMELINE"}]
    subject = f"{due.node} {due.unit}".strip()
    return [alarm("RECOVERY_GIVEN_UP", subject, f"{due.seen.what}; {v.why}") for v in final[:1]]


def _step(due: _Due) -> Step:
    used = f"try {due.seen.tries + 1}, at most {limit(due.rung)} in an hour"
    why = f"{due.seen.what}, for {due.seen.lasts:.0f} s; {used}"
    if due.rung == REINIT:
        return Step(Reinitialize(due.node), f"{due.node} cannot join otherwise: {why}")
    unit = due.unit or PATRONI
    return Step(GiveOrder(due.node, "restart", unit, due.rung), f"{due.node}: {why}")
