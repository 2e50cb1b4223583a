"""What becomes of an image file without a row: pure, and never in favour of guessing.

The index keeps no record of deletions (docs/integrity.md): Orthanc's /changes loses a resource's rows with
the resource, and its table of deleted files holds the last deletion only. So hactl's manifest is asked: it
knows when a row was first seen, by the write-ahead log's own count. A row that was there before the log was
cut by a failover has survived the failover; if it is gone now, somebody deleted it.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from hactl.integrity.model import Entry, Gone, Position
from hactl.units import Lsn


class Fate(enum.StrEnum):
    WAIT = "wait"  # so new that its row may still come
    DELETED = "deleted"  # its row was deleted on purpose; the file was left behind
    DUPLICATE = "duplicate"  # the same bytes are in the index under another name
    CONFLICT = "conflict"  # the index has other bytes for this image
    BROKEN = "broken"  # not a whole DICOM file
    LOST = "lost"  # its row was lost: store it again
    OLD = "old"  # no failover explains it, and nothing is known of it: a person decides


@dataclass(frozen=True)
class Fork:
    """Where a timeline ended: what was written on it behind `lsn` is lost."""

    timeline: int
    lsn: Lsn


@dataclass(frozen=True)
class Known:
    """All that is known of an orphan. `age` in seconds; `whole`: it can be read to its end as DICOM.

    `in_window`: written since the index was last known to be whole. `stored_md5`: of the row that the index
    has for the same image; empty: it has none.
    """

    age: float
    md5: str
    whole: bool
    in_window: bool
    stored_md5: str
    entry: Entry | None = None
    gone: Gone | None = None


def survived(seen: Position, forks: Sequence[Fork], timeline: int) -> bool:
    """Whether what was committed before `seen` is on `timeline` now."""
    if seen.timeline > timeline:
        return False
    return all(f.timeline < seen.timeline or seen.lsn <= f.lsn for f in forks if f.timeline < timeline)


def fate(known: Known, forks: Sequence[Fork], timeline: int, grace: float) -> tuple[Fate, str]:
    """The fate and its reason."""
    if known.age < grace:
        return Fate.WAIT, f"{known.age:.0f} s old: its row may still come"
    if known.entry is not None and known.entry.md5 != known.md5:
        return Fate.BROKEN, "its bytes are not those of ingest"
    if not known.whole:
        return Fate.BROKEN, "not a whole DICOM file"
    if known.stored_md5:
        if known.stored_md5 == known.md5:
            return Fate.DUPLICATE, "the index has the same bytes under another name"
        return Fate.CONFLICT, "the index has another image with the same identifiers"
    return _without_row(known, forks, timeline)


def _without_row(known: Known, forks: Sequence[Fork], timeline: int) -> tuple[Fate, str]:
    if known.gone is not None:
        return Fate.DELETED, f"its row was seen to go ({known.gone.how}) at {known.gone.seen.lsn}"
    if known.entry is not None:
        if survived(known.entry.seen, forks, timeline):
            return Fate.DELETED, "its row survived every failover and is gone: it was deleted"
        return Fate.LOST, f"its row was seen at {known.entry.seen.lsn}, behind the end of its timeline"
    if known.in_window:
        return Fate.LOST, "it was stored while rows were lost, or its store was not answered"
    return Fate.OLD, "older than the last failover, and nothing is known of it"
