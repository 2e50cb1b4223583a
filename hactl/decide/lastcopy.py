"""What has to be certain before a member's data are replaced. Doubt of any kind is a no."""

from __future__ import annotations

from typing import Final

from hactl import layout
from hactl.decide.plan import Veto
from hactl.spec.model import ClusterSpec
from hactl.units import Bytes
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, Dcs
from hactl.view.model import DbRole, Disk, PatroniSelf, Unknown

# Below this nothing is started that writes much: a rewind or a copy would fill the disk for good.
MIN_FREE: Final = 0.08
FULL: Final = Bytes.mib(32)  # two segments of WAL: with less free the next one may not fit


def may_join(cluster: ClusterView, dcs: Dcs, agent: AgentFacts | None, node: str) -> list[Veto]:
    """Against any attempt to have `node` follow the primary again."""
    found = []
    leader = dcs.patroni.leader
    if leader is None or leader.node == node:
        return [Veto("NO_PRIMARY", "no other node holds the leader key")]
    if not _serves(cluster, leader.node):
        found.append(Veto("NO_PRIMARY", f"{leader.node} does not say that it is a running primary"))
    if agent is None:
        return [
            *found,
            Veto("AGENT_SILENT", f"{node}'s agent does not report: its disk and network are unknown"),
        ]
    peer = agent.peers.get(leader.node)
    if peer is None or peer.misses:
        why = peer.why if peer else "not looked at"
        found.append(Veto("PRIMARY_OUT_OF_REACH", f"{node} does not reach {leader.node}'s PostgreSQL", why))
    full = [d for d in agent.disks if d.free_ratio < MIN_FREE]
    if full:
        seen = f"{full[0].path}: {full[0].free} free of {full[0].total}"
        found.append(Veto("DISK_FULL", f"a disk of {node} is full: {seen}"))
    return found


def data_disk(agent: AgentFacts | None) -> Disk | None:
    """The one that PostgreSQL writes to, as its node's agent sees it."""
    disks = agent.disks if agent else ()
    return next((d for d in disks if d.path == str(layout.PG_HOME)), None)


def may_be_replaced(spec: ClusterSpec, cluster: ClusterView, dcs: Dcs, node: str) -> list[Veto]:
    """Against copying `node` anew: it might be the last good copy, or nobody can say."""
    leader = dcs.patroni.leader
    if leader is None or leader.node == node or leader.node not in spec.databases:
        return [Veto("LAST_COPY", "no other node holds the leader key")]
    found = []
    primary, victim = _itself(cluster, leader.node), _itself(cluster, node)
    if primary is None or not primary.serves_writes:
        found.append(Veto("LAST_COPY", f"{leader.node} does not say that it is a running primary"))
    if victim is None:
        found.append(Veto("UNKNOWN", f"{node}'s Patroni does not answer"))
    elif victim.role is DbRole.PRIMARY:
        found.append(Veto("LAST_COPY", f"{node} says that it is primary"))
    elif _newer(victim, primary):
        found.append(Veto("NEWER_TIMELINE", f"{node} is on a newer timeline than the primary"))
    if node in dcs.patroni.sync_standbys:
        found.append(Veto("LAST_COPY", f"{node} is named as synchronous: it may hold what nobody else has"))
    return found + _doubts(dcs, leader.node)


def _newer(victim: PatroniSelf, primary: PatroniSelf | None) -> bool:
    if primary is None or victim.timeline is None or primary.timeline is None:
        return False
    return victim.timeline > primary.timeline


def _doubts(dcs: Dcs, leader: str) -> list[Veto]:
    """The primary's own agent has to agree: it is writable, and its disk takes what is written."""
    facts = dcs.facts.get(leader)
    found = []
    if facts is None or isinstance(facts.postgres, Unknown) or facts.postgres.writable is not True:
        found.append(Veto("LAST_COPY", f"{leader}'s agent does not say that its PostgreSQL is writable"))
    if facts is not None and facts.canary.failed:
        found.append(Veto("LAST_COPY", f"{leader}'s disk does not take what is written", facts.canary.why))
    if facts is not None and not isinstance(facts.postgres, Unknown) and facts.postgres.damaged:
        seen = ", ".join(facts.postgres.damaged)
        found.append(Veto("LAST_COPY", f"pages of {leader}'s own data are damaged, in {seen}"))
    if leader in dcs.fences:
        found.append(Veto("LAST_COPY", f"{leader} is fenced"))
    return found


def _serves(cluster: ClusterView, node: str) -> bool:
    itself = _itself(cluster, node)
    return itself is not None and itself.serves_writes


def _itself(cluster: ClusterView, node: str) -> PatroniSelf | None:
    seen = cluster.patroni.get(node)
    return None if seen is None or isinstance(seen.itself, Unknown) else seen.itself
