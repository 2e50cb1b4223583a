"""Is a scheduled switchover due, and may it be done? Once: what is refused at its time is not tried again."""

from __future__ import annotations

from typing import Final

from hactl.decide.plan import DropScheduled, Plan, Step, SwitchOver
from hactl.decide.switchover import may_switch
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs

LATE: Final = 300.0  # s: nobody expects it any more, as after an outage of all controllers


def decide_scheduled(spec: ClusterSpec, view: ClusterView, dcs: Dcs, wall: float) -> Plan:
    """`wall`: Unix time. People give a time of day, so here a wall clock decides; nothing is safe by it."""
    order = dcs.scheduled
    if order is None or wall < order.at:
        return Plan()
    about = f"switchover {order.id}, scheduled by {order.by}"
    if wall > order.at + LATE:
        why = f"MISSED: no controller could act at its time, {wall - order.at:.0f} s ago"
        return Plan((Step(DropScheduled(order, (why,)), f"{about}, is too late"),))
    switch = may_switch(spec, view, order.target or None)
    said = [f"{v.code}: {v.why}{f' [{v.evidence}]' if v.evidence else ''}" for v in switch.vetoes]
    if dcs.operation is not None:
        said.append(f"OPERATION: {dcs.operation.what} is under way, by {dcs.operation.who}")
    if said:
        return Plan((Step(DropScheduled(order, tuple(said)), f"{about}, is refused"),), switch.vetoes)
    return Plan((Step(SwitchOver(order, switch.primary, switch.target), f"{about}, is due"),))
