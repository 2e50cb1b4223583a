"""What proves that a fenced node can no longer serve. Any one is enough; an exit code is none of them.

Each way gives its proof, or why there is none yet and from when on there could be one. All rest on a look at
etcd that shows the intent: from its transaction on the node's lease cannot be renewed, and the node cannot
leave mode leased.
"""

from __future__ import annotations

from dataclasses import dataclass

from hactl.decide import limits
from hactl.decide.memory import FailoverMemory
from hactl.decide.vetoes import lease_gap
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, FenceIntent, Proof, ProofKind
from hactl.view.model import Unknown

_SILENT = frozenset({"stopped", "recovery"})


@dataclass(frozen=True)
class Missing:
    """No proof of this kind yet. `due`: when there could be one, monotonic; `possible` is false for never."""

    kind: ProofKind
    why: str
    due: float | None = None
    possible: bool = True


@dataclass(frozen=True)
class Question:
    spec: ClusterSpec
    view: ControlView
    dcs: Dcs
    intent: FenceIntent
    memory: FailoverMemory
    now: float

    def proved(self, kind: ProofKind, evidence: str) -> Proof:
        return Proof(kind, self.intent.node, self.intent.epoch, self.now, evidence)


def power_off(q: Question) -> Proof | Missing:
    kind, node = ProofKind.POWER_OFF, q.intent.node
    if node not in q.spec.fencing.agents:
        return Missing(kind, f"{node} has no fence agent in the spec", possible=False)
    run = q.view.fence_runs.get(node)
    if run is None or run.epoch != q.intent.epoch:
        return Missing(kind, "its fence agent has not been run for this intent")
    if run.power == "off" and run.read is not None and run.read >= run.started:
        said = f"power is off, read {q.now - run.read:.1f} s ago"
        fresh = q.now - run.read <= limits.POWER_AGE
        return q.proved(kind, said) if fresh else Missing(kind, f"{said}: too long")
    power = run.power.why if isinstance(run.power, Unknown) else f"power is {run.power}"
    if run.ended:
        return Missing(kind, f"its fence agent ended without proof: {power} {run.said}".rstrip())
    return Missing(kind, f"its fence agent is at work: {power}")


def self_fenced(q: Question) -> Proof | Missing:
    kind, said = ProofKind.SELF_FENCED, q.dcs.fenced.get(q.intent.node)
    if said is None:
        return Missing(kind, "its agent has not answered the intent")
    if said.epoch != q.intent.epoch:
        return Missing(kind, f"its agent's report is of epoch {said.epoch}, not {q.intent.epoch}")
    if said.postgres not in _SILENT:
        return Missing(kind, f"its agent says that PostgreSQL is {said.postgres}")
    return q.proved(kind, f"its agent says that PostgreSQL is {said.postgres}")


def lease_expired(q: Question) -> Proof | Missing:
    kind, node = ProofKind.LEASE_EXPIRED, q.intent.node
    if why := lease_gap(q.dcs, node):
        return Missing(kind, why, possible=False)
    seen = q.memory.renewals.get(node)
    if seen is None or seen.revision != q.dcs.alive[node].mod_revision:
        return Missing(kind, "its last renewal has not been seen yet")
    length = q.spec.fencing.lease.value
    due = seen.at + length + limits.MARGIN
    said = f"last renewal (revision {seen.revision}) seen {q.now - seen.at:.2f} s ago, lease {length:g} s"
    if q.now < due:
        return Missing(kind, said, due)
    return q.proved(kind, f"{said}, margin {limits.MARGIN:g} s")


ALL = (power_off, self_fenced, lease_expired)


def look(q: Question) -> tuple[Proof | Missing, ...]:
    """Every way, in the order in which they are preferred."""
    return tuple(way(q) for way in ALL)


def first(found: tuple[Proof | Missing, ...]) -> Proof | None:
    return next((p for p in found if isinstance(p, Proof)), None)


def hopeless(found: tuple[Proof | Missing, ...]) -> bool:
    """Neither power nor lease can ever prove it: only the node's own word could, and it is silent."""
    ways = {p.kind: p for p in found if isinstance(p, Missing)}
    needed = (ProofKind.POWER_OFF, ProofKind.LEASE_EXPIRED)
    return first(found) is None and all(kind in ways and not ways[kind].possible for kind in needed)
