"""The state of an archive node for whoever looks once: the active controller's word, else what is seen."""

from __future__ import annotations

from hactl.view.archive import ArchiveMark, ArchiveState
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import ArchiveView, State


def shown(view: ClusterView, node: str) -> ArchiveMark | None:
    """None: nothing is known. A mark of a controller that is not active any more is an old story."""
    dcs = view.control if isinstance(view.control, Dcs) else None
    mark = dcs.archive_states.get(node) if dcs and dcs.active else None
    if mark is not None:
        return mark
    return _kept_out(dcs, node) or _seen(view.archives.get(node))


def _kept_out(dcs: Dcs | None, node: str) -> ArchiveMark | None:
    facts = dcs.facts.get(node) if dcs else None
    own = facts.archive if facts else None
    drain = dcs.drains.get(node) if dcs else None
    if drain is None and (own is None or not (own.out or own.refusing)):
        return None
    why = f"drained by {drain.by}: {drain.why}" if drain else own.out_for if own else ""
    state = ArchiveState.DRAINED if own is not None and own.out else ArchiveState.DRAINING
    return ArchiveMark(state, why)


def _seen(archive: ArchiveView | None) -> ArchiveMark | None:
    if archive is None or all(archive.level(level).state is State.UNKNOWN for level in archive.can.serving):
        return None
    for wanted, state in ((State.FAILED, ArchiveState.FAILED), (State.UNKNOWN, ArchiveState.DEGRADED)):
        level = next((lv for lv in archive.can.serving if archive.level(lv).state is wanted), None)
        if level is not None:
            return ArchiveMark(state, f"{level}: {archive.level(level).why}")
    if archive.level("L4").failed:
        return ArchiveMark(ArchiveState.DEGRADED, f"L4: {archive.level('L4').why}")
    return ArchiveMark(ArchiveState.HEALTHY)
