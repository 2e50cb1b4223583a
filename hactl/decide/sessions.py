"""Whose sessions a switchover ends: archive nodes' pools by name, all others by number. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs


@dataclass(frozen=True)
class Pool:
    """Of one archive node. `busy`: at work for somebody now. `associations`: open ones; None: not known."""

    node: str
    connections: int
    busy: int
    associations: int | None = None


@dataclass(frozen=True)
class Sessions:
    pools: tuple[Pool, ...] = ()
    others: int = 0


def sessions(spec: ClusterSpec, view: ClusterView, rows: Sequence[tuple[str, int, int]]) -> Sessions:
    """`rows`: address, connections, how many of them are at work; no address: the node's own socket."""
    counted = {address: (many, busy) for address, many, busy in rows}
    facts = view.control.facts if isinstance(view.control, Dcs) else {}
    pools = []
    for name in spec.archives:
        many, busy = counted.pop(str(spec.nodes[name].address), (0, 0))
        archive = facts[name].archive if name in facts else None
        pools.append(Pool(name, many, busy, archive.associations if archive is not None else None))
    return Sessions(tuple(pools), sum(many for many, _ in counted.values()))


def said(found: Sessions) -> tuple[str, ...]:
    """For whoever is about to do it."""
    pools = [_pool(p) for p in found.pools if p.connections or p.associations]
    lines = []
    if pools:
        lines.append(
            f"connections of archive nodes' pools that end: {', '.join(pools)}; what is stored just then "
            "fails and must be sent again; the pools are asked whole right after"
        )
    if found.others:
        lines.append(f"other sessions that end: {found.others}")
    return tuple(lines)


def _pool(pool: Pool) -> str:
    open_ = f", {pool.associations} associations open" if pool.associations else ""
    return f"{pool.node} {pool.connections} ({pool.busy} at work{open_})"
