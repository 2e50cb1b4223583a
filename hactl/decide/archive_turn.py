"""Must an archive node be drained before a deployment restarts what serves there, and may it? Pure."""

from __future__ import annotations

from dataclasses import dataclass

from hactl.decide.maintenance import takers, unfit
from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.view.archive import DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs


@dataclass(frozen=True)
class Turn:
    """`drain`: it is to be drained; else `why` not. `veto`: it must be, and cannot be now."""

    drain: bool = False
    why: str = ""
    veto: Veto | None = None


def before_restart(spec: ClusterSpec, view: ClusterView, node: str) -> Turn:
    dcs = view.control
    if not isinstance(dcs, Dcs):
        return Turn(veto=Veto("ETCD_UNKNOWN", f"etcd gives no answer: {dcs.why}"))
    drain = dcs.drains.get(node)
    if drain is not None and drain.by is not DrainBy.DEPLOY:
        return Turn(why=f"it is drained by {drain.by}, and stays so")
    if len(spec.archives) == 1:
        return Turn(why="it is the only archive node: clients wait while it restarts")
    return _of_ours(spec, view, dcs, node)


def _of_ours(spec: ClusterSpec, view: ClusterView, dcs: Dcs, node: str) -> Turn:
    facts = dcs.facts.get(node)
    if facts is None or facts.archive is None:
        return Turn(veto=Veto("AGENT_SILENT", f"the agent of {node} does not report: nobody would obey"))
    if node in dcs.drains:
        return Turn(drain=True, why="an earlier deployment left it drained")
    if why := unfit(view, dcs, node):
        return Turn(why=f"it does not serve: {why}")
    veto = next(takers(spec, view, dcs, node), None)
    return Turn(veto=veto) if veto is not None else Turn(drain=True)
