"""Taking a node's services down and up again by hand, and having hactl leave the node alone. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.decide import maintenance
from hactl.decide import node_actions as common
from hactl.decide.maintenance import Answer
from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs

ARCHIVE = ("nginx.service", "orthanc.service")  # as they are stopped: first what stands in front
DOWN = frozenset({"inactive", "failed"})


def units(spec: ClusterSpec, node: str) -> tuple[str, ...]:
    """What `stop` takes down, in this order; `start` goes the other way.

    A voter's etcd goes on where it has company; on a witness it is what the node is for.
    """
    found: list[str] = []
    if node in spec.databases:
        found.append(common.PATRONI)
    if node in spec.archives:
        found += ARCHIVE
    if node in spec.witnesses:
        found += [*reversed(common.WITNESS), common.ETCD]
    return tuple(found)


def may_stop(spec: ClusterSpec, view: ClusterView, node: str) -> Answer:
    """As `ok_to_stop`, and somebody there must obey. The archive VIP is given away by the drain."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    found = maintenance.ok_to_stop(spec, view, node)
    drained = node in dcs.drains
    vetoes = [
        v
        for v in found.vetoes
        if v.code not in {"HOLDS_VIP", "INCIDENT_OPEN"} and not (drained and v.code == "NO_OTHER_ARCHIVE")
    ]
    vetoes += _surroundings(dcs, node)
    vetoes += _stopped(spec, dcs, node)
    if node in spec.databases:
        vetoes += [*common.patroni_paused(dcs), *common.joining(dcs, node)]
    return Answer(tuple(vetoes), found.notes)


def may_start(spec: ClusterSpec, view: ClusterView, node: str) -> Answer:
    """Starting what runs does no harm, so little speaks against it."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    vetoes = [v for v in common.at_work(dcs, node) if v.code not in {"PAUSED", "INCIDENT_OPEN"}]
    vetoes += common.no_agent(dcs, node)
    if node in spec.databases:
        vetoes += common.patroni_paused(dcs)
    work = dcs.maintenance.get(node)
    notes = () if work is None or work.stopped else (f"{node} stays in maintenance: {work.by}, {work.why}",)
    return Answer(tuple(vetoes), notes)


def may_maintain(spec: ClusterSpec, view: ClusterView, node: str) -> Answer:
    """Whether hactl may leave this node alone for a while."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    vetoes = list(_surroundings(dcs, node))
    notes: list[str] = []
    work = dcs.maintenance.get(node)
    if work is not None and work.stopped:
        vetoes.append(Veto("ALREADY_STOPPED", f"{node} was stopped by {work.by}: hactl node start {node}"))
    if node in spec.archives and node not in dcs.drains:
        codes = {v.code for v in vetoes}
        vetoes += [v for v in maintenance.may_drain(spec, view, node).vetoes if v.code not in codes]
    if node in spec.databases:
        vetoes += _database(view, node)
        notes.append("nothing of it is repaired meanwhile; if the primary is lost it still takes over")
    if node in spec.voters:
        maintenance.voter(view, node, vetoes, [])
    return Answer(tuple(vetoes), tuple(notes))


def may_end(view: ClusterView, node: str) -> Answer:
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    work = dcs.maintenance.get(node)
    if work is None:
        return Answer((Veto("NO_MAINTENANCE", f"nobody works on {node}"),))
    if work.stopped:
        return Answer((), (f"what was stopped on {node} is started again by the controller",))
    return Answer()


def _surroundings(dcs: Dcs, node: str) -> Iterator[Veto]:
    yield from common.at_work(dcs, node)
    yield from common.no_agent(dcs, node)
    for other, its in dcs.maintenance.items():
        if other != node:
            yield Veto("OTHER_IN_MAINTENANCE", f"{its.by} works on {other}: never two at once", its.why)


def _stopped(spec: ClusterSpec, dcs: Dcs, node: str) -> Iterator[Veto]:
    """A stop that did not get through may be asked for again."""
    work, facts = dcs.maintenance.get(node), dcs.facts.get(node)
    states = [facts.units.get(unit) for unit in units(spec, node)] if facts else []
    if work is not None and work.stopped and states and all(state in DOWN for state in states):
        yield Veto("ALREADY_STOPPED", f"{node} was stopped by {work.by}", work.why)


def _database(view: ClusterView, node: str) -> Iterator[Veto]:
    yield from common.primary_known(view)
    if derive.primary(view) == node:
        yield Veto("IS_PRIMARY", f"{node} is the primary: it cannot be left alone; give the role away first")
