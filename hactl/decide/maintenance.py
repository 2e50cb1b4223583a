"""Would anything break if a node left the archive VIP, or stopped? All reasons, not only the first. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import DbRole

SERVES: Final = ("L0", "L1", "L2")


@dataclass(frozen=True)
class Answer:
    """`vetoes`: what would break; none: go ahead. `notes`: what is weaker for as long as the node is away."""

    vetoes: tuple[Veto, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.vetoes


def unfit(view: ClusterView, dcs: Dcs, node: str) -> str:
    """Why an archive node could not take the VIP now; empty: it could."""
    if (drain := dcs.drains.get(node)) is not None:
        return f"it is drained by {drain.by}"
    facts = dcs.facts.get(node)
    if why := silent(view, node):
        return why
    if facts is None or facts.archive is None:
        return "its agent does not report"
    if facts.archive.out:
        return f"its agent keeps it out{f': {facts.archive.out_for}' if facts.archive.out_for else ''}"
    bad = next((p for p in (facts.storage, facts.archive.write, facts.archive.room) if p.failed), None)
    return "" if bad is None else f"L3 failed: {bad.why}"


def silent(view: ClusterView, node: str) -> str:
    """Which of the levels that serve does not answer, and why; empty: all do."""
    archive = view.archives.get(node)
    if archive is None:
        return "it was not asked"
    for level in SERVES:
        probe = archive.level(level)
        if not probe.ok:
            return f"{level} is {probe.state.value}{f': {probe.why}' if probe.why else ''}"
    return ""


def may_drain(spec: ClusterSpec, view: ClusterView, node: str) -> Answer:
    """Whether another archive node can take the archive VIP from this one."""
    dcs = view.control
    if not isinstance(dcs, Dcs):
        return Answer((Veto("ETCD_UNKNOWN", f"etcd gives no answer: {dcs.why}"),))
    vetoes = list(takers(spec, view, dcs, node))
    if (drain := dcs.drains.get(node)) is not None:
        vetoes.append(Veto("ALREADY_DRAINED", f"{node} is drained by {drain.by}", drain.why))
    facts = dcs.facts.get(node)
    if facts is None or facts.archive is None:
        vetoes.append(Veto("AGENT_SILENT", f"the agent of {node} does not report: nobody would obey"))
    if dcs.paused:
        vetoes.append(Veto("PAUSED", "somebody paused hactl, or deploys"))
    return Answer(tuple(vetoes))


def takers(spec: ClusterSpec, view: ClusterView, dcs: Dcs, node: str) -> Iterator[Veto]:
    """A veto, unless another archive node is fit to take over."""
    why = {other: unfit(view, dcs, other) for other in spec.archives if other != node}
    if not why:
        yield Veto("NO_OTHER_ARCHIVE", f"{node} is the only archive node")
    elif all(why.values()):
        said = "; ".join(f"{other}: {reason}" for other, reason in why.items())
        yield Veto("NO_OTHER_ARCHIVE", "no other archive node can take over", said)


def ok_to_stop(spec: ClusterSpec, view: ClusterView, node: str) -> Answer:
    """Whether a node may be switched off, rebooted or taken away without anybody noticing."""
    dcs = view.control
    if not isinstance(dcs, Dcs):
        return Answer((Veto("ETCD_UNKNOWN", f"etcd gives no answer: {dcs.why}"),))
    vetoes: list[Veto] = []
    notes: list[str] = []
    if dcs.incident is not None:
        vetoes.append(Veto("INCIDENT_OPEN", "a failover is under way, or not over yet"))
    if node in spec.archives:
        vetoes += _archive(spec, view, dcs, node)
    if node in spec.databases:
        _database(spec, view, node, vetoes, notes)
    if node in spec.voters:
        voter(view, node, vetoes, notes)
        _controller(dcs, node, vetoes, notes)
    if node in spec.witnesses:
        notes.append("no metrics are kept and nobody is notified while it is away")
    return Answer(tuple(vetoes), tuple(notes))


def asked_by_anybody(spec: ClusterSpec, view: ClusterView, node: str) -> Answer:
    """As `ok_to_stop`, for whoever does it outside of hactl: a deployment has turns of its own."""
    found = ok_to_stop(spec, view, node)
    at_work = view.control.operation if isinstance(view.control, Dcs) else None
    if at_work is None:
        return found
    said = f"an operation is under way that may stop something itself: {at_work.what}, by {at_work.who}"
    return Answer((*found.vetoes, Veto("OPERATION", said, at_work.reason)), found.notes)


def _archive(spec: ClusterSpec, view: ClusterView, dcs: Dcs, node: str) -> Iterator[Veto]:
    yield from takers(spec, view, dcs, node)
    facts = dcs.facts.get(node)
    if facts is not None and str(spec.archive_vip.address.ip) in facts.vips:
        yield Veto("HOLDS_VIP", f"{node} holds the archive VIP: hactl archive drain {node}")


def _database(spec: ClusterSpec, view: ClusterView, node: str, vetoes: list[Veto], notes: list[str]) -> None:
    primary = derive.primary(view)
    if primary is None:
        vetoes.append(Veto("PRIMARY_UNKNOWN", "it is not known which node is the primary"))
    elif primary == node:
        vetoes.append(Veto("IS_PRIMARY", f"{node} is the primary: give the role away first"))
    else:
        notes.append("there is no standby while it is away: the primary then commits without one")
    others = [m for m in derive.members(view) if m.name != node and m.role is not DbRole.UNKNOWN]
    if len(spec.databases) > 1 and not others:
        vetoes.append(Veto("NO_OTHER_DATABASE", "no other database node answers"))


def voter(view: ClusterView, node: str, vetoes: list[Veto], notes: list[str]) -> None:
    """Whether etcd keeps its majority while this member is away."""
    left = [n for n, status in derive.etcd_answers(view).items() if n != node and status.leader_id]
    needed = len(view.etcd) // 2 + 1
    if len(left) < needed:
        said = ", ".join(left) or "none"
        vetoes.append(Veto("ETCD_QUORUM", f"etcd needs {needed} members and would have {len(left)}", said))
    elif len(left) == needed:
        notes.append("etcd survives no other loss while it is away")


def _controller(dcs: Dcs, node: str, vetoes: list[Veto], notes: list[str]) -> None:
    others = [n for n in (dcs.active, *dcs.standing_by) if n and n != node]
    if not others:
        vetoes.append(
            Veto("NO_OTHER_CONTROLLER", "no other controller runs: nothing would fail over by itself")
        )
    elif dcs.active == node:
        notes.append(f"the controller goes to {others[0]}, within 4 s")
