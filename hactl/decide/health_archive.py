"""The archive nodes, level by level, and their virtual IP."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.view.archive import GIVEN_UP, ArchiveState
from hactl.view.archive_levels import FAILS_OVER
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.model import ArchiveView, State, Unknown
from hactl.view.names import some

_CODE_OF_LEVEL = {
    "L0": "ARCHIVE_NODE_DOWN",
    "L1": "ARCHIVE_NOT_RESPONDING",
    "L2": "ARCHIVE_INDEX_UNREACHABLE",
}
NOT_OURS = "whoever runs {node} starts it again; hactl archive check {node}"


def lowest_failed(archive: ArchiveView) -> str | None:
    """The first level that failed: the ones above it fail for the same reason."""
    return next((level for level in _CODE_OF_LEVEL if archive.level(level).failed), None)


def can_serve(archive: ArchiveView) -> bool | None:
    """None when nothing failed but the index was not looked at."""
    if lowest_failed(archive) is not None:
        return False
    return True if archive.level("L2").ok else None


def nodes(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    if view.archives and all(can_serve(a) is False for a in view.archives.values()):
        yield finding("ALL_ARCHIVES_DOWN", detail=some(view.archives))
    for name, archive in view.archives.items():
        failed = lowest_failed(archive)
        if failed is not None:
            instead = "" if archive.can.mended else NOT_OURS
            yield finding(_code(view, name, failed), name, archive.level(failed).why, instead)
            continue
        for level in _CODE_OF_LEVEL:
            probe = archive.level(level)
            # A database that fails over is a finding of its own, and no question open is no answer missing.
            if probe.state is State.UNKNOWN and probe.why != FAILS_OVER:
                yield finding("SOURCE_UNKNOWN", name, f"level {level}: {probe.why}")


def _code(view: ClusterView, node: str, level: str) -> str:
    """An index that stays away while SQL works, so that the controller has begun to mend it, hangs."""
    mark = _keys(view).archive_states.get(node)
    hung = level == "L2" and mark is not None and mark.state is ArchiveState.FAILED and bool(mark.rung)
    return "ARCHIVE_HUNG_POOL" if hung else _CODE_OF_LEVEL[level]


def _keys(view: ClusterView) -> Dcs:
    return Dcs(0) if isinstance(view.control, Unknown) else view.control


def storage(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Level L3, as the nodes' agents see it."""
    dcs = _keys(view)
    for node in spec.archives:
        facts = dcs.facts.get(node)
        if facts is None:
            continue
        if facts.storage.failed:
            yield finding("STORAGE_IDENTITY_LOST", node, facts.storage.why)
        elif facts.archive is not None and facts.archive.write.failed:
            yield finding("STORAGE_NOT_WRITABLE", node, facts.archive.write.why)
        elif facts.archive is not None and facts.archive.room.failed:
            yield finding("STORAGE_NEARLY_FULL", node, facts.archive.room.why)


def end_to_end(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Level L4; while a level below it fails, that is what is said."""
    for node, archive in view.archives.items():
        if archive.level("L4").failed and lowest_failed(archive) is None:
            yield finding("ARCHIVE_END_TO_END", node, archive.level("L4").why)


def kept_out(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    dcs = _keys(view)
    for node in spec.archives:
        drain, mark = dcs.drains.get(node), dcs.archive_states.get(node)
        if drain is not None:
            yield finding("ARCHIVE_DRAINED", node, f"by {drain.by}, since {drain.since or '?'}: {drain.why}")
        if mark is not None and mark.rung == GIVEN_UP:
            yield finding("ARCHIVE_GIVEN_UP", node, mark.why)


def vip(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    seen = view.vips.get("archive")
    if seen is None:
        return
    if seen.holder is None:
        yield finding("VIP_NOT_HELD", "archive", f"{seen.address}: no connection")
    elif isinstance(seen.holder, Unknown):
        yield _vip_unknown(view, seen.address, seen.holder.why)
    else:
        holder = view.archives.get(seen.holder)
        others = [n for n, a in view.archives.items() if n != seen.holder and can_serve(a)]
        if holder is not None and can_serve(holder) is False and others:
            detail = f"{seen.address} is there, {some(others)} could serve"
            yield finding("VIP_WRONG_NODE", seen.holder, detail)


def _vip_unknown(view: ClusterView, address: str, why: str) -> Finding:
    """Its nginx says its name whatever Orthanc does: with a healthy node somewhere, it should have."""
    if any(a.level("L1").ok for a in view.archives.values()):
        return finding("VIP_NOT_HELD", "archive", why)
    return finding("SOURCE_UNKNOWN", "archive", f"who holds {address}: {why}")


CHECKS = (nodes, storage, end_to_end, kept_out, vip)
