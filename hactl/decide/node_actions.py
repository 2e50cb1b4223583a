"""What every act on a node by hand has in common: reasons against it that come from around it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hactl.decide.plan import Veto
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, Maintenance
from hactl.view.model import PatroniSelf

PATRONI: Final = "patroni.service"
ETCD: Final = "etcd.service"
WITNESS: Final = ("prometheus.service", "prometheus-alertmanager.service")  # in the order in which they start


def keys(view: ClusterView) -> Dcs | tuple[Veto, ...]:
    """The look at etcd, or the one veto that stands for all others."""
    if isinstance(view.control, Dcs):
        return view.control
    return (Veto("ETCD_UNKNOWN", f"etcd gives no answer: {view.control.why}"),)


def at_work(dcs: Dcs, node: str) -> Iterator[Veto]:
    """Somebody else's work that must end first."""
    if dcs.incident is not None:
        yield Veto("INCIDENT_OPEN", "a failover is under way, or not over yet")
    if dcs.paused:
        yield Veto("PAUSED", "somebody paused hactl, or deploys")
    if node in dcs.fences:
        yield Veto("FENCED", f"{node} is fenced", dcs.fences[node].reason)
    order, done = dcs.orders.get(node), dcs.done.get(node)
    if order is not None and (done is None or done.id != order.id):
        yield Veto("ORDER_AT_WORK", f"{node}'s agent has not ended its last order", order.verb)


def no_agent(dcs: Dcs, node: str) -> Iterator[Veto]:
    if node not in dcs.facts:
        yield Veto("AGENT_SILENT", f"the agent of {node} does not report: nobody there would obey")


def joining(dcs: Dcs, node: str) -> Iterator[Veto]:
    facts = dcs.facts.get(node)
    if facts is not None and facts.joining:
        yield Veto("JOINING", f"{node} is being made a standby again", facts.joining)


def patroni_paused(dcs: Dcs) -> Iterator[Veto]:
    if dcs.patroni.paused:
        yield Veto("PATRONI_PAUSED", "Patroni is paused: it would not do its part")


def primary_known(view: ClusterView) -> Iterator[Veto]:
    if derive.primary(view) is None:
        yield Veto("PRIMARY_UNKNOWN", "it is not known which node is the primary")


def itself(view: ClusterView, node: str) -> PatroniSelf | None:
    return derive.selves(view).get(node)


def others_away(dcs: Dcs, node: str) -> Iterator[Veto]:
    """Somebody stopped, or works on, another node of the same kind: never two at once."""
    for other, work in dcs.maintenance.items():
        if other != node:
            yield Veto("OTHER_IN_MAINTENANCE", f"{work.by} works on {other}", work.why)


def maintained(dcs: Dcs, node: str) -> Maintenance | None:
    return dcs.maintenance.get(node)
