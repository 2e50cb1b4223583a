"""Starting anew by hand: one node, or all, one after the other; what speaks against each step. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final, assert_never

from hactl.decide import maintenance
from hactl.decide import node_actions as common
from hactl.decide.plan import Veto
from hactl.decide.switchover import may_switch
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import DbRole, PatroniSelf


@dataclass(frozen=True)
class RestartPostgres:
    """Through Patroni. `primary`: in place, which is an outage; else Patroni does it only to a standby."""

    node: str
    primary: bool = False
    pending: bool = False

    def __str__(self) -> str:
        if self.primary:
            return f"restart PostgreSQL on {self.node}, the primary, in place: nobody can write meanwhile"
        return f"restart PostgreSQL on {self.node}, and wait until it streams"


@dataclass(frozen=True)
class SwitchOver:
    """PostgreSQL on `node` is stopped and started by it, so nothing else is left to do there."""

    node: str
    to: str

    def __str__(self) -> str:
        return f"switch over from {self.node} to {self.to}: PostgreSQL on {self.node} is started anew by that"


@dataclass(frozen=True)
class RestartArchive:
    node: str

    def __str__(self) -> str:
        return f"drain {self.node}, restart its archive, and let it in again"


@dataclass(frozen=True)
class RestartEtcd:
    node: str

    def __str__(self) -> str:
        return f"restart etcd on {self.node}, and wait until all members are well"


@dataclass(frozen=True)
class RestartUnit:
    node: str
    unit: str

    def __str__(self) -> str:
        return f"restart {self.unit} on {self.node}"


OWN: Final = "hactl-"  # units of hactl's own: over SSH, an agent cannot be ordered to restart itself
NOTES: Final = {
    "keepalived.service": "a virtual IP that is there goes away, for a moment at least: sessions end",
    "hactl-agent.service": "a database node is in mode open until its agent is back",
    "hactl-controller.service": "if it is the active one another takes its place within 4 s",
}
Step = RestartPostgres | SwitchOver | RestartArchive | RestartEtcd | RestartUnit


@dataclass(frozen=True)
class Wish:
    """`pending`: only where changed parameters wait for it. `in_place`: the primary, without a switchover.

    `etcd`: the node's etcd instead of its service; `unit`: this one.
    """

    pending: bool = False
    in_place: bool = False
    etcd: bool = False
    unit: str = ""


@dataclass(frozen=True)
class Restart:
    """`steps` in order, each of which is looked at anew before it begins. `vetoes`: none, go ahead."""

    steps: tuple[Step, ...]
    vetoes: tuple[Veto, ...] = ()
    notes: tuple[str, ...] = field(default=())


def of_node(spec: ClusterSpec, view: ClusterView, node: str, wish: Wish) -> Restart:
    if wish.etcd and node not in spec.voters:
        return Restart((), (Veto("NO_ETCD", f"{node} has no etcd"),))
    if wish.pending and node not in spec.databases:
        return Restart((), (Veto("NO_PENDING_RESTART", f"{node} has no PostgreSQL"),))
    found = _judged(spec, view, tuple(_of_node(spec, view, node, wish)))
    if wish.pending and isinstance(found.steps[0], SwitchOver) and not _waits(view, node):
        none = Veto("NO_PENDING_RESTART", f"nothing on {node} waits for a restart")
        return replace(found, vetoes=(*found.vetoes, none))
    return found


def of_all(spec: ClusterSpec, view: ClusterView, wish: Wish) -> Restart:
    """Standby, switchover, archive nodes, witnesses, etcd with its leader last."""
    steps = list(_databases(spec, view, wish))
    if not wish.pending:
        steps += [RestartArchive(node) for node in spec.archives]
        steps += [RestartUnit(node, unit) for node in spec.witnesses for unit in common.WITNESS]
        steps += [RestartEtcd(node) for node in _leader_last(spec, view)]
    found = _judged(spec, view, tuple(steps))
    found = replace(found, vetoes=(*found.vetoes, *_worked_on(view)))
    if not steps and not found.vetoes:
        return Restart((), (Veto("NO_PENDING_RESTART", "no member waits for a restart"),))
    return found


def against(spec: ClusterSpec, view: ClusterView, step: Step) -> tuple[Veto, ...]:
    """Every reason not to begin this step now."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return dcs
    match step:
        case RestartPostgres():
            return tuple(_postgres(view, dcs, step))
        case SwitchOver(node, to):
            return tuple(_switch(spec, view, node, to))
        case RestartArchive(node):
            drained = node in dcs.drains
            found = () if drained else maintenance.may_drain(spec, view, node).vetoes
            known = {v.code for v in found}
            return (*found, *(v for v in common.at_work(dcs, node) if v.code not in known))
        case RestartEtcd(node):
            return tuple(_etcd(view, dcs, node))
        case RestartUnit(node, unit):
            agent = () if unit.startswith(OWN) else common.no_agent(dcs, node)
            return (*common.at_work(dcs, node), *agent)
        case _:
            assert_never(step)


def _judged(spec: ClusterSpec, view: ClusterView, steps: tuple[Step, ...]) -> Restart:
    """All of it must be possible now: what is not well at the start is no surprise on the way."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Restart(steps, dcs)
    vetoes = dict.fromkeys(v for step in steps for v in against(spec, view, step))
    if not steps and derive.primary(view) is None:
        vetoes = dict.fromkeys(common.primary_known(view))
    return Restart(steps, tuple(vetoes), tuple(_notes(steps)))


def _worked_on(view: ClusterView) -> Iterator[Veto]:
    """Whoever is worked on is away already, or will be any moment."""
    for node, work in view.control.maintenance.items() if isinstance(view.control, Dcs) else ():
        yield Veto("IN_MAINTENANCE", f"{work.by} works on {node}", work.why)


def _of_node(spec: ClusterSpec, view: ClusterView, node: str, wish: Wish) -> Iterator[Step]:
    if wish.unit:
        yield RestartUnit(node, wish.unit)
    elif wish.etcd:
        yield RestartEtcd(node)
    elif node in spec.databases:
        yield _database(spec, view, node, wish)
    elif node in spec.archives:
        yield RestartArchive(node)
    else:
        yield from (RestartUnit(node, unit) for unit in common.WITNESS)
        yield RestartEtcd(node)


def _database(spec: ClusterSpec, view: ClusterView, node: str, wish: Wish) -> Step:
    if derive.primary(view) != node:
        return RestartPostgres(node, pending=wish.pending)
    other = next((n for n in spec.databases if n != node), "")
    if wish.in_place or not other:
        return RestartPostgres(node, primary=True, pending=wish.pending)
    return SwitchOver(node, other)


def _databases(spec: ClusterSpec, view: ClusterView, wish: Wish) -> Iterator[Step]:
    primary = derive.primary(view)
    if primary is None:
        return
    standbys = [n for n in spec.databases if n != primary]
    for node in standbys:
        if not wish.pending or _waits(view, node):
            yield RestartPostgres(node)
    if not wish.pending or _waits(view, primary):
        yield _database(spec, view, primary, wish)


def _waits(view: ClusterView, node: str) -> bool:
    itself = common.itself(view, node)
    return itself is not None and itself.pending_restart


def _leader_last(spec: ClusterSpec, view: ClusterView) -> list[str]:
    leader = derive.etcd_leader(view)
    return sorted(spec.voters, key=lambda node: node == leader)


def _postgres(view: ClusterView, dcs: Dcs, step: RestartPostgres) -> Iterator[Veto]:
    node = step.node
    yield from common.at_work(dcs, node)
    yield from common.primary_known(view)
    yield from common.joining(dcs, node)
    itself = common.itself(view, node)
    if itself is None:
        yield Veto("PATRONI_SILENT", f"{node}'s Patroni does not answer: see hactl node rejoin {node}")
        return
    if itself.state != "running":
        yield Veto("NOT_RUNNING", f"PostgreSQL on {node} does not run: see hactl node rejoin {node}",
                   itself.state)  # fmt: skip
    yield from _role(itself, step)
    if step.pending and not itself.pending_restart:
        yield Veto("NO_PENDING_RESTART", f"nothing on {node} waits for a restart")


def _role(itself: PatroniSelf, step: RestartPostgres) -> Iterator[Veto]:
    leads = itself.role is DbRole.PRIMARY
    if leads and not step.primary:
        yield Veto("IS_PRIMARY", f"{step.node} is the primary now")
    if step.primary and not leads:
        yield Veto("NOT_PRIMARY", f"{step.node} is no primary any more")


def _switch(spec: ClusterSpec, view: ClusterView, node: str, to: str) -> Iterator[Veto]:
    found = may_switch(spec, view, to)
    if found.primary and found.primary != node:
        yield Veto("NOT_PRIMARY", f"{node} is no primary any more: {found.primary} is")
    yield from found.vetoes
    dcs = view.control
    if isinstance(dcs, Dcs):
        yield from (v for v in common.at_work(dcs, node) if v.code == "ORDER_AT_WORK")


def _etcd(view: ClusterView, dcs: Dcs, node: str) -> Iterator[Veto]:
    yield from common.at_work(dcs, node)
    yield from common.no_agent(dcs, node)
    vetoes: list[Veto] = []
    maintenance.voter(view, node, vetoes, [])
    yield from vetoes


def _notes(steps: tuple[Step, ...]) -> Iterator[str]:
    for step in steps:
        if isinstance(step, RestartUnit) and step.unit in NOTES:
            yield NOTES[step.unit]
        if isinstance(step, RestartPostgres) and step.primary:
            yield (
                "nobody can write, and every session ends, until PostgreSQL has stopped and started: "
                "seconds, or as long as its last checkpoint takes; if it does not start, the standby "
                "takes over"
            )
        elif isinstance(step, RestartPostgres):
            yield f"{step.node} is no synchronous standby meanwhile: the primary then commits alone"
