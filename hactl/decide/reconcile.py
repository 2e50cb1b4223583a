"""After a failover storage and index are compared once, by one archive node. Pure.

What drives it is the database's timeline: each promotion begins a new one, whoever promoted. etcd knows up
to which one storage and index were compared; so no failover is missed, not even one without hactl.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from hactl.decide.budgets import RECONCILE
from hactl.decide.pacing import Pulses, Seen, again, hands_off, used_up
from hactl.decide.plan import GiveOrder, Plan, Step, Veto
from hactl.decide.reconcile_due import due
from hactl.spec.model import ClusterSpec
from hactl.view.control import AgentFacts, Dcs

SETTLED: Final = 10.0  # s on a new timeline: Orthanc has its database again, its senders have tried again
BUSY: Final = frozenset({"running"})


@dataclass(frozen=True)
class ReconcileMemory:
    pulses: Pulses = field(default_factory=Pulses)
    seen: Seen | None = None


def decide_reconcile(
    spec: ClusterSpec, dcs: Dcs, memory: ReconcileMemory, now: float
) -> tuple[Plan, ReconcileMemory]:
    """At most one order, to one archive node."""
    pulses, wanted = memory.pulses.after(dcs, now), due(dcs)
    if wanted is None:
        return Plan(), ReconcileMemory(pulses)
    seen = again(memory.seen, f"timeline {wanted}", now)
    reports = {n: f for n in spec.archives if (f := pulses.fresh(dcs, n, now)) is not None}
    if seen.lasts < SETTLED or seen.waits(now) or _busy(reports):
        return Plan(), ReconcileMemory(pulses, seen)
    vetoes: list[Veto] = []
    for node, facts in sorted(reports.items(), key=lambda item: _in_vain(item[1])):
        against = list(_against(dcs, pulses, node, facts, now))
        vetoes += against
        if not against:
            why = f"the index is on timeline {wanted}, storage and index were compared up to {dcs.reconciled}"
            step = Step(GiveOrder(node, "reconcile", "", RECONCILE), f"{node}: {why}")
            return Plan((step,), tuple(vetoes)), ReconcileMemory(pulses, seen.tried(now))
    return Plan((), tuple(vetoes)), ReconcileMemory(pulses, seen)


def _in_vain(facts: AgentFacts) -> bool:
    """Its last one did not come to its end: another node first, this one may be what is broken."""
    return facts.integrity is not None and facts.integrity.reconcile in {"failed", "unfinished"}


def _busy(reports: dict[str, AgentFacts]) -> bool:
    return any(f.integrity is not None and f.integrity.reconcile in BUSY for f in reports.values())


def _against(dcs: Dcs, pulses: Pulses, node: str, facts: AgentFacts, now: float) -> Iterator[Veto]:
    off = hands_off(dcs, node, led_for=pulses.led_for(dcs, now))
    if off is not None:
        yield off
    if facts.integrity is None:
        yield Veto("NO_MANIFEST", f"{node} has no hactl-manifest.service yet")
    if not facts.storage.ok:
        yield Veto("STORAGE", f"{node}'s storage is not proven", facts.storage.why)
    if used_up(dcs, node, RECONCILE):
        yield Veto("BUDGET", f"{node} has compared often enough within the last hour")
    if pulses.at_work(dcs, node, now):
        yield Veto("ORDER_AT_WORK", f"{node}'s agent has not ended its last order")
