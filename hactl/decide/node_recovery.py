"""Rejoin and reinit by hand: the same two rungs that the controller has, and the same guards. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from hactl.decide import lastcopy
from hactl.decide import node_actions as common
from hactl.decide.maintenance import Answer
from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import DbRole, PatroniSelf


def may_rejoin(view: ClusterView, node: str) -> Answer:
    """Whether its Patroni may be started anew, so that it looks whether to recover, rewind or copy."""
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    vetoes = [*_surroundings(dcs, node), *_no_primary(view, node)]
    itself = common.itself(view, node)
    if itself is not None and itself.role is DbRole.STANDBY and itself.replication_state == "streaming":
        vetoes.append(Veto("STREAMS", f"{node} streams: there is nothing to repair"))
    vetoes += lastcopy.may_join(view, dcs, dcs.facts.get(node), node)
    return Answer(_once(vetoes))


def may_reinit(spec: ClusterSpec, view: ClusterView, node: str, *, force: bool) -> Answer:
    """Whether it may be copied anew. `force`: also a synchronous standby that is well.

    That one is let go only if it streams from the primary that is to be copied, on the same timeline and no
    further than it: then it has nothing that the primary lacks.
    """
    dcs = common.keys(view)
    if isinstance(dcs, tuple):
        return Answer(dcs)
    vetoes = [*_surroundings(dcs, node), *_no_primary(view, node)]
    judged = _without(dcs, node) if force and _has_nothing_else(view, dcs, node) else dcs
    vetoes += lastcopy.may_join(view, dcs, dcs.facts.get(node), node)
    vetoes += lastcopy.may_be_replaced(spec, view, judged, node)
    notes = [f"its old data are kept aside where there is room; until the copy is done {node} is no standby"]
    return Answer(_once(vetoes), tuple(notes))


def _surroundings(dcs: Dcs, node: str) -> Iterator[Veto]:
    yield from common.at_work(dcs, node)
    yield from common.patroni_paused(dcs)
    yield from common.joining(dcs, node)
    work = dcs.maintenance.get(node)
    if work is not None and work.stopped:
        yield Veto("STOPPED", f"{node} was stopped by {work.by}: hactl node start {node}", work.why)


def _no_primary(view: ClusterView, node: str) -> Iterator[Veto]:
    itself = common.itself(view, node)
    if itself is not None and itself.role is DbRole.PRIMARY:
        yield Veto("IS_PRIMARY", f"{node} says that it is primary")


def _has_nothing_else(view: ClusterView, dcs: Dcs, node: str) -> bool:
    leader = dcs.patroni.leader
    primary = common.itself(view, leader.node) if leader else None
    itself = common.itself(view, node)
    if primary is None or itself is None or not primary.serves_writes:
        return False
    return itself.replication_state == "streaming" and _behind(itself, primary)


def _behind(itself: PatroniSelf, primary: PatroniSelf) -> bool:
    """By the position read later: a standby cannot have what the primary has not written."""
    return None not in (itself.timeline, primary.timeline) and itself.timeline == primary.timeline


def _without(dcs: Dcs, node: str) -> Dcs:
    left = tuple(n for n in dcs.patroni.sync_standbys if n != node)
    return dataclasses.replace(dcs, patroni=dataclasses.replace(dcs.patroni, sync_standbys=left))


def _once(vetoes: list[Veto]) -> tuple[Veto, ...]:
    return tuple(dict.fromkeys(vetoes))
