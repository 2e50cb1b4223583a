"""Grey failures: what answers and does not serve. Patroni alone does nothing about any of them.

A primary that takes no commits is stopped by its own agent, so that Patroni hands over. If even that order
does not end, the node is a suspect: the failover fences it (decide/failover.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from hactl.decide import lastcopy
from hactl.decide.budgets import MISSES, limit
from hactl.decide.pacing import Pulses, Seen, again, hands_off, left_alone, since, used_up
from hactl.decide.plan import GiveOrder, Plan, Step, Veto, alarm
from hactl.spec.model import ClusterSpec
from hactl.units import Lsn
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, ControlView, Dcs, Mode, PostgresLocal
from hactl.view.incident import Phase
from hactl.view.model import PatroniSelf, State, Unknown

LOOKS: Final = 3  # in a row, one each second
# Of the node's own looks, half a second each: a postmaster that has forked for nobody for 2.5 s. The third
# missed commit comes no sooner, so this costs no time; a machine that stands still for a while has one.
SILENT: Final = 5
# Where new connections are answered: commits missed in a row, and seconds without new WAL.
PATIENT: Final = 15
ORDER_WITHIN: Final = 5.0  # a stop that takes longer hangs in the kernel, as on a dead disk
HANDOVER_WITHIN: Final = 10.0  # PostgreSQL is stopped: Patroni gives its key away within two of its loops
STOP: Final = "stop-postgres"
_CODES: Final = {
    "canary": "DISK_STALLED",
    "full": "DISK_NEARLY_FULL",
    "heartbeat": "HEARTBEAT_FAILING",
    "address": "VIP_ON_TWO_NODES",
}
KEEPALIVED: Final = "keepalived.service"
PATRONI: Final = "patroni.service"


@dataclass(frozen=True)
class Stopped:
    """The order to stop a primary's PostgreSQL: when it was first given, and why."""

    node: str
    at: float
    why: str


Wal = tuple[tuple[str, Lsn | None], float]  # who leads, where its WAL ends, and since when it has ended there


@dataclass(frozen=True)
class GreyMemory:
    """`suspects`: nodes that the failover shall treat as lost, with the evidence."""

    pulses: Pulses = field(default_factory=Pulses)
    seen: Mapping[tuple[str, str], Seen] = field(default_factory=dict)
    stopped: Stopped | None = None
    suspects: Mapping[str, str] = field(default_factory=dict)
    wal: Wal | None = None


@dataclass(frozen=True)
class _Look:
    spec: ClusterSpec
    control: ControlView
    cluster: ClusterView
    dcs: Dcs
    pulses: Pulses
    now: float
    wal: Wal | None = None

    def agent(self, node: str) -> AgentFacts | None:
        return self.pulses.fresh(self.dcs, node, self.now)

    def patroni(self, node: str) -> PatroniSelf | Unknown:
        seen = self.cluster.patroni.get(node)
        return Unknown("not in the spec") if seen is None else seen.itself

    @property
    def leader(self) -> str:
        leader = self.dcs.patroni.leader
        return leader.node if leader else ""

    @property
    def vip(self) -> str:
        return str(self.spec.vips.database.address.ip)


@dataclass(frozen=True)
class _Grey:
    """One thing that is not as it looks, and what helps.

    `looks`: how often in a row it has to be seen. Not `ripe`: it is seen, and not bad enough yet. Kinds of
    one `count` are one trouble: better evidence of it does not begin the count anew.
    """

    node: str
    kind: str
    what: str
    order: GiveOrder
    looks: int = LOOKS
    ripe: bool = True
    count: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.node, self.count or self.kind


def decide_grey(
    spec: ClusterSpec, control: ControlView, cluster: ClusterView, memory: GreyMemory, now: float
) -> tuple[Plan, GreyMemory]:
    """At most one order for each node. Without a look at etcd nothing is known, so nothing is done."""
    if isinstance(control.dcs, Unknown):
        return Plan(), memory
    look = _Look(spec, control, cluster, control.dcs, memory.pulses.after(control.dcs, now), now)
    look = replace(look, wal=_wal(look, memory.wal))
    greys = {g.key: g for g in _all(look) if left_alone(look.dcs, g.node) is None}
    seen = {key: again(memory.seen.get(key), key[1], now) for key in greys}
    steps: dict[str, Step] = {}
    vetoes: list[Veto] = []
    alarms: list[str] = []
    for key, grey in greys.items():
        if seen[key].looks < grey.looks or not grey.ripe:
            continue
        against = _against(look, grey)
        vetoes += against
        alarms += _alarms(grey, against)
        if against or grey.node in steps or seen[key].waits(now):
            continue
        steps[grey.node] = Step(grey.order, grey.what)
        seen[key] = seen[key].tried(now)
    stopped = _stopped(look, memory, steps)
    plan = Plan(tuple(steps.values()), tuple(vetoes), alarms=tuple(alarms))
    return plan, GreyMemory(look.pulses, seen, stopped, _suspects(look, stopped), look.wal)


def _wal(look: _Look, before: Wal | None) -> Wal:
    """Where nobody can say it, it has not moved."""
    facts = look.agent(look.leader)
    local = facts.postgres if facts else None
    lsn = local.lsn if isinstance(local, PostgresLocal) else None
    if lsn is None and before is not None and before[0][0] == look.leader:
        return before
    return since(before, (look.leader, lsn), look.now)


def _all(look: _Look) -> Iterator[_Grey]:
    """What weighs most comes first: a node is given one order at a time."""
    yield from _frozen_primary(look)
    yield from _full_primary(look)
    for node in look.spec.databases:
        yield from _frozen_patroni(look, node)
    yield from _address_astray(look)
    for node in look.spec.nodes:
        yield from _keepalived(look, node)


def _frozen_primary(look: _Look) -> Iterator[_Grey]:
    """Patroni sees nothing wrong, the lease lives, and yet no commit comes back through the address."""
    node, facts = look.leader, look.agent(look.leader)
    if facts is None or not _may_serve(facts) or not _patroni_is_content(look.patroni(node), facts):
        return
    beat = look.control.heartbeat
    order = GiveOrder(node, STOP, rung=STOP)
    if facts.canary.failed and beat.misses:
        what = f"{node} is primary, and its disk does not take what is written: {facts.canary.why}"
        yield _Grey(node, "canary", what, order, count="commits")
    elif beat.misses and look.vip in facts.vips:
        what = f"{node} is primary, and {beat.misses} commits by new connections failed in a row: {beat.why}"
        # Misses from before it led do not count against it: it has to be seen so for as long itself.
        yield _Grey(node, "heartbeat", what, order, ripe=beat.misses >= MISSES, count="commits")


def _full_primary(look: _Look) -> Iterator[_Grey]:
    """Its applications get errors, while heartbeats still go where there is a place already."""
    node, facts = look.leader, look.agent(look.leader)
    disk = lastcopy.data_disk(facts)
    if facts and disk and _may_serve(facts) and disk.free < lastcopy.FULL:
        what = f"{node} is primary, and its disk is full: {disk.path}: {disk.free} free of {disk.total}"
        yield _Grey(node, "full", what, GiveOrder(node, STOP, rung=STOP))


def _patroni_is_content(itself: PatroniSelf | Unknown, facts: AgentFacts) -> bool:
    """It says so; or it is silent, as when it waits for a PostgreSQL that is frozen as a whole."""
    if not isinstance(itself, Unknown):
        return itself.serves_writes
    return facts.patroni.failed and not _answers(facts)


def _answers(facts: AgentFacts) -> bool:
    return not isinstance(facts.postgres, Unknown) and not isinstance(facts.postgres.writable, Unknown)


def _may_serve(facts: AgentFacts) -> bool:
    return facts.mode is Mode.OPEN or (facts.lease_left is not None and facts.lease_left > 0)


def _frozen_patroni(look: _Look, node: str) -> Iterator[_Grey]:
    """Its port is silent from here and on the node itself, while systemd and PostgreSQL see nothing wrong."""
    facts, itself = look.agent(node), look.patroni(node)
    if facts is None or not isinstance(itself, Unknown) or itself.untrusted or not facts.patroni.failed:
        return
    if _answers(facts) and facts.units.get(PATRONI, "active") == "active":
        what = f"{node}'s Patroni does not answer, its PostgreSQL does: {facts.patroni.why}"
        yield _Grey(node, "patroni", what, GiveOrder(node, "kill-patroni", rung="kill-patroni"))


def _address_astray(look: _Look) -> Iterator[_Grey]:
    """The database's address on a node that does not lead, or not on the one that does and may serve."""
    holders = [n for n in look.spec.databases if (f := look.agent(n)) and look.vip in f.vips]
    if not look.leader:
        return
    for node in holders:
        if node != look.leader:
            others = f", and on {look.leader}" if look.leader in holders else ""
            what = f"{look.vip} is on {node}, which does not hold the leader key{others}"
            yield _Grey(node, "address", what, _restart(node))
    facts = look.agent(look.leader)
    silent = bool(look.control.heartbeat.misses)  # nobody answers there either
    if not holders and silent and facts and _may_serve(facts) and facts.keepalived.state is State.OK:
        what = f"{look.leader} leads and may serve, and {look.vip} is nowhere"
        yield _Grey(look.leader, "no-address", what, _restart(look.leader), looks=5)


def _keepalived(look: _Look, node: str) -> Iterator[_Grey]:
    facts = look.agent(node)
    if facts and facts.keepalived.failed:
        what = f"{node}'s keepalived is dead or frozen: {facts.keepalived.why}"
        yield _Grey(node, "keepalived", what, _restart(node))


def _restart(node: str) -> GiveOrder:
    return GiveOrder(node, "restart", KEEPALIVED, f"restart:{KEEPALIVED}")


def _against(look: _Look, grey: _Grey) -> list[Veto]:
    # A failover whose new primary has a frozen keepalived gets no commit, and would wait for it for ever.
    once = Phase.PROMOTED if grey.order.verb == "restart" else Phase.FIRST_COMMIT
    found = [hands_off(look.dcs, grey.node, once)]
    if used_up(look.dcs, grey.node, grey.order.rung):
        most = limit(grey.order.rung)
        found.append(
            Veto("BUDGET", f"{grey.order.verb} was done {most} times on {grey.node} within the last hour")
        )
    if look.pulses.at_work(look.dcs, grey.node, look.now):
        found.append(Veto("ORDER_AT_WORK", f"{grey.node}'s agent has not ended its last order"))
    if grey.order.verb == STOP:
        found += _stop_vetoes(look, grey)
    return [veto for veto in found if veto is not None]


def _stop_vetoes(look: _Look, grey: _Grey) -> Iterator[Veto]:
    """Stopping a primary is only worth it if somebody loses nothing by taking over."""
    follow = [s for s in look.dcs.patroni.sync_standbys if s != grey.node and _follows(look, s)]
    if not follow:
        yield Veto("NO_SYNC_STANDBY", "no synchronous standby streams: stopping the primary would not help")
    if grey.kind == "full" and not any(_has_room(look.agent(s)) for s in follow):
        yield Veto("STANDBY_FULL", "no synchronous standby is known to have room on its disk")
    if grey.kind == "heartbeat" and look.control.heartbeat.reached is False:
        yield Veto("NOT_REACHED", f"{look.vip} takes no connection from here: the network may be at fault",
                   look.control.heartbeat.why)  # fmt: skip
    if grey.kind == "heartbeat" and _works(look, look.agent(grey.node)):
        why = f"less than {PATIENT} commits failed in a row, or WAL is written: load, a lock or the network"
        yield Veto("STILL_ANSWERS", f"{grey.node} answers new connections on its own node, and {why}")


def _works(look: _Look, facts: AgentFacts | None) -> bool:
    """New connections are answered on the node itself, and it cannot be said that nothing is committed there.

    Not known whether they are: the missed commits alone decide, as they would without that look.
    """
    if facts is None or isinstance(facts.forks, Unknown) or facts.forks.misses >= SILENT:
        return False
    stands = look.now - look.wal[1] if look.wal else 0.0
    return look.control.heartbeat.misses < PATIENT or stands < PATIENT


def _follows(look: _Look, node: str) -> bool:
    itself = look.patroni(node)
    return not isinstance(itself, Unknown) and itself.replication_state == "streaming"


def _has_room(facts: AgentFacts | None) -> bool:
    disk = lastcopy.data_disk(facts)
    return disk is not None and disk.free_ratio >= lastcopy.MIN_FREE


def _alarms(grey: _Grey, against: list[Veto]) -> Iterator[str]:
    """Said when nothing more is done about it by itself."""
    final = [v for v in against if v.code in {"BUDGET", "NO_SYNC_STANDBY", "NOT_REACHED", "STANDBY_FULL"}]
    if final:
        yield alarm(_CODES.get(grey.kind, "RECOVERY_GIVEN_UP"), grey.node, f"{grey.what}; {final[0].why}")


def _stopped(look: _Look, memory: GreyMemory, steps: Mapping[str, Step]) -> Stopped | None:
    """The order to stop the primary, until somebody else leads or commits come back."""
    before = memory.stopped
    if before is not None and before.node == look.leader and look.control.heartbeat.misses:
        return before
    for node, step in steps.items():
        if isinstance(step.action, GiveOrder) and step.action.verb == STOP:
            return Stopped(node, look.now, step.reason)
    return None


def _suspects(look: _Look, stopped: Stopped | None) -> dict[str, str]:
    if stopped is None:
        return {}
    waited = look.now - stopped.at
    if waited >= ORDER_WITHIN and not _ended(look, stopped.node):
        return {stopped.node: f"{stopped.why}; and the order to stop it has not ended in {waited:.0f} s"}
    if waited >= HANDOVER_WITHIN:
        return {stopped.node: f"{stopped.why}; it was stopped, and Patroni keeps the leader key"}
    return {}


def _ended(look: _Look, node: str) -> bool:
    order, done = look.dcs.orders.get(node), look.dcs.done.get(node)
    return bool(order and done and order.verb == STOP and done.id == order.id and done.ok)
