"""May the primary's role be given away now, and to whom? All reasons against it, not only the first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import DbRole, Unknown

# A switchover ends it, and it was not short by design any more.
LONG: Final = 60.0  # s
# What the standby still has to receive delays the promotion; Patroni itself would allow 1 MiB too.
MAX_LAG: Final = 1 << 20  # bytes


@dataclass(frozen=True)
class Switch:
    """`vetoes`: none, go ahead. `primary` and `target` are empty where they are not known."""

    primary: str = ""
    target: str = ""
    vetoes: tuple[Veto, ...] = ()


def may_switch(spec: ClusterSpec, view: ClusterView, to: str | None = None) -> Switch:
    """`to`: the node that shall be primary; None: whichever is fit."""
    dcs = view.control
    if not isinstance(dcs, Dcs):
        return Switch(vetoes=(Veto("ETCD_UNKNOWN", f"etcd gives no answer: {dcs.why}"),))
    primary = derive.primary(view) or ""
    others = [node for node in spec.databases if node != primary]
    target = to or (others[0] if len(others) == 1 else "")
    about_target = _target(view, dcs, primary, target) if primary or to else ()
    vetoes = (*_at_work(dcs), *_primary(spec, view, primary), *about_target)
    return Switch(primary, target, vetoes)


def long_transactions(ages: Sequence[float]) -> tuple[Veto, ...]:
    """`ages`: of the clients' transactions that are open on the primary, in seconds."""
    old = sorted((age for age in ages if age >= LONG), reverse=True)
    if not old:
        return ()
    many = f"{len(old)} transactions have" if len(old) > 1 else "a transaction has"
    said = f"{many} been open for over {LONG:.0f} s: a switchover ends them"
    return (Veto("LONG_TRANSACTION", said, f"the oldest for {old[0]:.0f} s"),)


def _at_work(dcs: Dcs) -> Iterator[Veto]:
    if dcs.incident is not None:
        yield Veto("INCIDENT_OPEN", "a failover is under way, or not over yet")
    if dcs.paused:
        yield Veto("PAUSED", "somebody paused hactl, or deploys")
    if dcs.patroni.paused:
        yield Veto("PATRONI_PAUSED", "Patroni is paused")
    for node in dcs.fences:
        yield Veto("FENCED", f"{node} is fenced")


def _primary(spec: ClusterSpec, view: ClusterView, primary: str) -> Iterator[Veto]:
    if not primary:
        yield Veto("PRIMARY_UNKNOWN", "it is not known which node is the primary")
        return
    holder = view.vips["database"].holder
    if holder != primary:
        said = holder if isinstance(holder, str) else "not known"
        yield Veto("VIP_ELSEWHERE", f"the database VIP is not on {primary}", f"holder: {said}")
    down = [n for n in spec.voters if n not in derive.etcd_answers(view)]
    if down:
        yield Veto("ETCD_DEGRADED", "etcd is not whole: nothing may be lost meanwhile", ", ".join(down))


def _target(view: ClusterView, dcs: Dcs, primary: str, target: str) -> Iterator[Veto]:
    member = next((m for m in derive.members(view) if m.name == target), None)
    if member is None:
        yield Veto("NO_TARGET", f"there is no database node {target}" if target else "no node to switch to")
        return
    if target == primary:
        yield Veto("ALREADY_PRIMARY", f"{target} is the primary")
        return
    if member.role is not DbRole.STANDBY or member.state != "streaming":
        said = f"{member.role.value}, {member.state}"
        yield Veto("STANDBY_UNFIT", f"{target} is no streaming standby", member.why or said)
    elif not member.sync:
        yield Veto("NOT_IN_SYNC", f"{target} is not synchronous: it may lack what was acknowledged")
    if member.lag is not None and member.lag.value > MAX_LAG:
        yield Veto("STANDBY_LAGGING", f"{target} is {member.lag} behind")
    if (work := dcs.maintenance.get(target)) is not None:
        yield Veto("IN_MAINTENANCE", f"{work.by} works on {target}", work.why)
    facts = dcs.facts.get(target)
    if facts is None:
        yield Veto("AGENT_SILENT", f"the agent of {target} does not report: the VIP may not come there")
    elif not isinstance(facts.postgres, Unknown) and facts.postgres.damaged:
        yield Veto(
            "PAGES_DAMAGED", f"pages of {target}'s data are damaged", ", ".join(facts.postgres.damaged)
        )
