"""Many archive nodes at a glance: what the active controller and the nodes' agents say of them. Pure.

Whoever looks once cannot ask a thousand nodes within two seconds, and need not: the controller asks each
every few seconds, and says in etcd what it found.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Final

from hactl.spec.model import ClusterSpec
from hactl.view.archive import ArchiveMark, ArchiveState
from hactl.view.archive_levels import end_to_end_level, storage_level
from hactl.view.cluster import ClusterView
from hactl.view.control import AgentFacts, Dcs
from hactl.view.model import ArchiveView, Probe, State

_ASKED: Final = ("L0", "L1", "L2")
_NAMES_A_LEVEL: Final = re.compile(r"(L\d): (.*)", re.DOTALL)
_REPORTS: Final = Probe(State.OK, "its agent reports")
_SILENT: Final = Probe(State.UNKNOWN, "its agent does not report; of so many nodes none is asked itself")
_OK: Final = Probe(State.OK)


def told(spec: ClusterSpec, view: ClusterView) -> ClusterView:
    """With the archive nodes that were not asked themselves."""
    missing = [node for node in spec.archives if node not in view.archives]
    if not missing:
        return view
    dcs = view.control if isinstance(view.control, Dcs) else None
    nodes, archives = dict(view.nodes), dict(view.archives)
    for node in missing:
        facts = dcs.facts.get(node) if dcs else None
        nodes.setdefault(node, _REPORTS if facts else _SILENT)
        mark = dcs.archive_states.get(node) if dcs and dcs.active else None
        archives[node] = ArchiveView({**_levels(mark), **_agents(facts)})
    return dataclasses.replace(view, nodes=nodes, archives=archives)


def _agents(facts: AgentFacts | None) -> dict[str, Probe]:
    return {"L3": storage_level(facts), "L4": end_to_end_level(facts)}


def _levels(mark: ArchiveMark | None) -> dict[str, Probe]:
    """What a state says of the levels that the controller asks; where it says nothing, nothing is known."""
    if mark is None:
        return dict.fromkeys(_ASKED, Probe(State.UNKNOWN, "no active controller tells"))
    if mark.state is ArchiveState.HEALTHY:
        return dict.fromkeys(_ASKED, _OK)
    named = _NAMES_A_LEVEL.match(mark.why)
    if named is None:
        return dict.fromkeys(_ASKED, Probe(State.UNKNOWN, f"the controller says: {mark.state}, {mark.why}"))
    level, why = named[1], named[2]
    if level not in _ASKED:
        return dict.fromkeys(_ASKED, _OK)
    # A level that is named is the lowest that fails or, where none fails, the lowest that is unknown.
    found = Probe(State.FAILED if mark.state is ArchiveState.FAILED else State.UNKNOWN, why)
    return {name: _OK if name < level else found if name == level else _above(name) for name in _ASKED}


def _above(name: str) -> Probe:
    return Probe(State.UNKNOWN, f"the controller tells of the level below {name} only")
