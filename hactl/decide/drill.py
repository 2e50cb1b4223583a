"""May a fault be put into an installation that people rely on? All reasons against it. Pure.

And while it is there: does everything that is found follow from it, or is there a surprise?
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.decide.codes import Finding, Severity
from hactl.decide.health import CHECKS
from hactl.decide.limits import PER_HOUR
from hactl.decide.node_actions import at_work
from hactl.decide.plan import Veto
from hactl.decide.switchover import may_switch
from hactl.decide.window import following, left
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import Unknown

SWITCHOVER: Final = "switchover"
POWER_OFF: Final = "power-off"
# Each is known to be mended by the node itself, whoever goes away meanwhile.
FAULTS: Final = (
    "crash-postgres", "freeze-postgres", "kill-patroni", "kill-orthanc", "kill-keepalived", POWER_OFF,
    SWITCHOVER,
)  # fmt: skip
NEEDS: Final = 600.0  # s of an open window: a drill, its healing, and time to look
SPARE: Final = 1  # failovers of the hour that are left for a real loss


@dataclass(frozen=True)
class Wanted:
    """`fault` on `node`. `moves`: how often the primary may move because of it, at most."""

    fault: str
    node: str
    moves: int = 0


@dataclass(frozen=True)
class NodeSaid:
    """What the node's own program says: why it would not break anything now, and what is broken already."""

    closed: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Around:
    """What is not in the view. `local`: now, in the windows' zone; None: the zone is not known here.

    `nodes`: of each node that has the program. `striker`: the one that would be asked; empty: nobody needs
    to be. `recent`: automatic failovers within the hour.
    """

    local: dt.datetime | None
    recent: int = 0
    striker: str = ""
    nodes: Mapping[str, NodeSaid | Unknown] = field(default_factory=dict)


def may_drill(spec: ClusterSpec, view: ClusterView, wanted: Wanted, around: Around) -> tuple[Veto, ...]:
    found = (
        *_agreed(spec, wanted, around.local),
        *_whole(spec, view),
        *may_switch(spec, view).vetoes,
        *_under_way(spec, view),
        *_budget(wanted, around),
        *_nodes(wanted, around),
    )
    return tuple(dict.fromkeys(found))


def _agreed(spec: ClusterSpec, wanted: Wanted, local: dt.datetime | None) -> Iterator[Veto]:
    if wanted.fault not in FAULTS:
        yield Veto("LAB_ONLY", f"{wanted.fault} is for the lab: no node could mend it by itself")
    if not wanted.node:
        yield Veto("NOBODY_TO_STRIKE", "no node has that role now")
    if wanted.fault == POWER_OFF and wanted.node not in spec.fencing.agents:
        yield Veto("NO_FENCE_AGENT", f"{wanted.node} has no fence agent to cut its power")
    windows = spec.drills.windows
    if not windows:
        yield Veto("NO_WINDOW", "the spec agrees to no window for drills (drills.windows)")
        return
    if local is None:
        yield Veto("ZONE_UNKNOWN", f"this machine does not know the time zone {spec.drills.zone}")
        return
    open_for = left(windows, local)
    if open_for is None:
        then = following(windows, local)
        said = f"the next one begins {then:%a %H:%M} {spec.drills.zone}" if then else ""
        yield Veto("OUTSIDE_WINDOW", "no window for drills is open", said)
    elif open_for < NEEDS:
        yield Veto(
            "WINDOW_ENDS", f"the window ends in {open_for / 60:.0f} min; a drill needs {NEEDS / 60:.0f}"
        )


def _whole(spec: ClusterSpec, view: ClusterView) -> Iterator[Veto]:
    """Whatever is found, also what maintenance keeps quiet: nothing may be missing when a node is."""
    for found in dict.fromkeys(f for check in CHECKS for f in check(spec, view)):
        if found.severity.rank >= Severity.WARNING.rank and found.code.name != "DRILL_OVERDUE":
            yield Veto("NOT_REDUNDANT", f"{found.code.name} {found.subject}".strip(), _detail(found))


def _detail(found: Finding) -> str:
    return found.detail or found.code.summary


def _under_way(spec: ClusterSpec, view: ClusterView) -> Iterator[Veto]:
    dcs = view.control
    if not isinstance(dcs, Dcs):
        return
    for node, work in dcs.maintenance.items():
        yield Veto("IN_MAINTENANCE", f"{work.by} works on {node}", work.why)
    for node in spec.nodes:
        said = {v.code: v for v in at_work(dcs, node)}
        if order := said.get("ORDER_AT_WORK"):
            yield order
    if dcs.scheduled is not None:
        yield Veto("SCHEDULED", "a switchover is scheduled: hactl switchover --list")


def _budget(wanted: Wanted, around: Around) -> Iterator[Veto]:
    most = PER_HOUR - SPARE
    if wanted.moves and around.recent + wanted.moves > most:
        said = f"{around.recent} within the hour; hactl does {PER_HOUR}, and {SPARE} stays for a real loss"
        yield Veto("TOO_MANY_FAILOVERS", "another failover would use up what hactl may do", said)


def _nodes(wanted: Wanted, around: Around) -> Iterator[Veto]:
    for node, said in around.nodes.items():
        if isinstance(said, Unknown):
            yield Veto("NODE_SILENT", f"{node} does not say whether anything is broken there", said.why)
            continue
        if said.fault:
            yield Veto("FAULT_UNDER_WAY", f"{said.fault} is under way, by {node}", "it ends by itself")
        if said.closed and node == around.striker:
            yield Veto("NODE_REFUSES", f"{node} itself would refuse", said.closed)
    if wanted.fault in FAULTS and wanted.fault != SWITCHOVER and around.striker not in around.nodes:
        yield Veto("NODE_REFUSES", f"{around.striker or 'no node'} has no program for it", "hactl deploy")


# Never follows from one of the faults above: data, or more than one node, are in danger.
NEVER: Final = frozenset({
    "ALL_NODES_UNREACHABLE", "TWO_PRIMARIES", "VIP_ON_TWO_NODES", "ETCD_NO_QUORUM", "ETCD_NOSPACE",
    "ETCD_ALARM", "STANDBY_DIVERGED", "STORAGE_IDENTITY_LOST", "STORAGE_NOT_WRITABLE", "SCRUB_DAMAGE",
    "PAGES_DAMAGED",
    "MANIFEST_CHANGED", "RECOVERY_GIVEN_UP", "ARCHIVE_GIVEN_UP", "DISK_STALLED",
    "PAUSED", "PATRONI_PAUSED", "NODE_MAINTENANCE",
})  # fmt: skip
# Whoever loses the primary for some seconds sees these, of other nodes or of none.
_DATABASE: Final = frozenset({
    "NO_PRIMARY", "PRIMARY_UNREACHABLE", "STANDBY_LOST", "STANDBY_LAGGING", "STANDBY_ON_OLD_TIMELINE",
    "SYNC_DEGRADED", "VIP_NOT_HELD", "VIP_WRONG_NODE", "HEARTBEAT_FAILING", "INCIDENT_OPEN", "SLOT_LOST",
    "ARCHIVE_INDEX_UNREACHABLE", "ARCHIVE_NOT_RESPONDING", "ARCHIVE_HUNG_POOL", "ARCHIVE_END_TO_END",
    "ALL_ARCHIVES_DOWN", "CONTROLLER_NONE", "CONTROLLER_ALONE", "RECONCILE_NEEDED", "MANIFEST_BEHIND",
    "SIGNING_BEHIND", "SOURCE_UNKNOWN",
})  # fmt: skip
_ARCHIVE: Final = frozenset({"VIP_NOT_HELD", "SOURCE_UNKNOWN", "MANIFEST_BEHIND", "SIGNING_BEHIND"})


def surprises(spec: ClusterSpec, view: ClusterView, wanted: Wanted, primary: str) -> tuple[Veto, ...]:
    """What the fault does not explain. `primary`: who it was before."""
    found = dict.fromkeys(f for check in CHECKS for f in check(spec, view))
    ill = (Veto(f.code.name, f.subject, _detail(f)) for f in found if not _explained(spec, f, wanted))
    return (*ill, *_moved(view, wanted, primary))


def _explained(spec: ClusterSpec, found: Finding, wanted: Wanted) -> bool:
    name = found.code.name
    if found.severity.rank < Severity.WARNING.rank or name == "DRILL_OVERDUE":
        return True
    if name in NEVER:
        return False
    around = _DATABASE if wanted.node in spec.databases else _ARCHIVE
    return found.subject == wanted.node or name in around


def _moved(view: ClusterView, wanted: Wanted, primary: str) -> Iterator[Veto]:
    now = derive.primary(view)
    if not wanted.moves and now is not None and primary and now != primary:
        yield Veto("PRIMARY_MOVED", now, f"{primary} was the primary, and this fault moves nobody")
