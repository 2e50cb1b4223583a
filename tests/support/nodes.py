"""The healthy installation as the commands that act on nodes see it: agents report, archives are fit.

world(host_lost("db2"), dcs=(fenced("db2"),))
"""

from __future__ import annotations

import dataclasses
from typing import Any

from hactl.decide.node_fence import BY_HAND
from hactl.view.archive import ArchiveFacts
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, FenceIntent, Maintenance
from hactl.view.model import Probe, State, Unknown
from tests.support.keysview import LEADER, KeysChange, after_keys, keys_with
from tests.support.views import Change, after

WELL = Probe(State.OK)


def reported(dcs: Dcs) -> Dcs:
    """Archive nodes' agents tell what a drain wants to know; db1 says that its PostgreSQL is writable."""
    fit = ArchiveFacts(room=WELL, write=WELL)
    facts = {
        node: dataclasses.replace(f, storage=WELL, archive=fit) if node.startswith("arc") else f
        for node, f in dcs.facts.items()
    }
    return dataclasses.replace(dcs, facts=facts)


def keys_of(*changes: KeysChange) -> Dcs:
    return after_keys(reported, *changes)


def with_keys(dcs: Dcs) -> Change:
    return lambda v: dataclasses.replace(
        v, control=dcs, etcd={n: dataclasses.replace(e, keys=dcs) for n, e in v.etcd.items()}
    )


def world(*changes: Change, dcs: tuple[KeysChange, ...] = ()) -> ClusterView:
    return after(with_keys(keys_of(*dcs)), *changes)


def maintained(node: str, **changes: Any) -> KeysChange:
    work = Maintenance(node, "anna", "new disk", "2026-01-01T00:00:00", "2026-01-01T02:00:00", **changes)
    return keys_with(maintenance={node: work})


def blind() -> ClusterView:
    return dataclasses.replace(world(), control=Unknown("no majority"))


def codes(found: Any) -> list[str]:
    assert all(veto.why for veto in found.vetoes)
    return [veto.code for veto in found.vetoes]


def by_hand(node: str) -> Any:
    return keys_with(fences={node: FenceIntent(node, 5, f"{BY_HAND}5", "anna", LEADER, "looks odd")})
