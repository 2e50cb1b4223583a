"""The archive nodes, level by level, and their virtual IP."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.decide.codes import Finding, finding
from hactl.spec.model import ClusterSpec
from hactl.view.cluster import ClusterView
from hactl.view.model import ArchiveView, State, Unknown

_CODE_OF_LEVEL = {
    "L0": "ARCHIVE_NODE_DOWN",
    "L1": "ARCHIVE_NOT_RESPONDING",
    "L2": "ARCHIVE_INDEX_UNREACHABLE",
}


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
        yield finding("ALL_ARCHIVES_DOWN", detail=", ".join(view.archives))
    for name, archive in view.archives.items():
        failed = lowest_failed(archive)
        if failed is not None:
            yield finding(_CODE_OF_LEVEL[failed], name, archive.level(failed).why)
            continue
        for level in _CODE_OF_LEVEL:
            probe = archive.level(level)
            if probe.state is State.UNKNOWN:
                yield finding("SOURCE_UNKNOWN", name, f"level {level}: {probe.why}")


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
            detail = f"{seen.address} is there, {', '.join(others)} could serve"
            yield finding("VIP_WRONG_NODE", seen.holder, detail)


def _vip_unknown(view: ClusterView, address: str, why: str) -> Finding:
    """Its nginx says its name whatever Orthanc does: with a healthy node somewhere, it should have."""
    if any(a.level("L1").ok for a in view.archives.values()):
        return finding("VIP_NOT_HELD", "archive", why)
    return finding("SOURCE_UNKNOWN", "archive", f"who holds {address}: {why}")


CHECKS = (nodes, vip)
