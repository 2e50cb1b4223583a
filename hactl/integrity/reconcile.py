"""Storage against index after a failover, both ways; images whose rows were lost are stored again."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hactl.errors import Refused, StepFailed, Unreachable
from hactl.integrity import compare, dicom
from hactl.integrity.fate import Fate, Known, fate
from hactl.integrity.hand import Hand
from hactl.integrity.index import Index
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.model import DICOM, Finding, Kind, Row, Stored, place
from hactl.integrity.plan import Plan
from hactl.integrity.ports import Door, Forks, Story
from hactl.integrity.reports import LISTED
from hactl.integrity.storage import FOLDERS, Storage

GRACE: Final = 90.0  # s: Orthanc waits 60 s for its database; until then a file's row may still come
PROVE_AGAIN: Final = 500  # images stored again between two looks whether the storage is still the right one
SUSPICIOUS: Final = 1000  # files without a row
_RETRY: Final = 3
HISTORY_LOOKS: Final = 40  # a new primary writes its history some seconds after it leads
HISTORY_POLL: Final = 1.0  # s


@dataclass(frozen=True)
class ReconcileParts:
    """`since`: Unix time; what was written later and is unknown may have lost its row. `wait` sleeps."""

    index: Index
    storage: Storage
    plan: Plan
    manifest: Manifest
    marks: Marks
    forks: Forks
    door: Door
    hand: Hand
    since: float
    wait: Callable[[float], bool]
    wall: Callable[[], float] = time.time
    grace: float = GRACE


@dataclass
class Result:
    """What a run found and did. `items`: one line for each file or row, at most reports.LISTED."""

    run: str
    dry: bool
    timeline: int = 0
    rows: int = 0
    files: int = 0
    restored: int = 0
    fates: collections.Counter[str] = field(default_factory=collections.Counter)
    missing: int = 0
    failed: int = 0
    items: list[dict[str, str]] = field(default_factory=list)

    def note(self, what: str, uuid: str, why: str, did: str = "") -> None:
        if len(self.items) < LISTED:
            self.items.append({"what": what, "path": place(uuid), "why": why, "did": did})

    def plain(self) -> dict[str, Any]:
        return {
            "run": self.run, "dry": self.dry, "timeline": self.timeline, "rows": self.rows,
            "files": self.files, "restored": self.restored, "missing": self.missing, "failed": self.failed,
            "fates": dict(self.fates), "items": self.items,
        }  # fmt: skip

    @property
    def whole(self) -> bool:
        """Nothing that was to be done is left undone."""
        return not self.failed and not (self.fates[Fate.LOST] - self.restored)


class Reconcile:
    """`force`: also when so much has no row that this may be another archive's index."""

    def __init__(self, parts: ReconcileParts, run: str, *, dry: bool, force: bool = False) -> None:
        self._p, self.result, self._force = parts, Result(run, dry), force
        self._orphans: list[Stored] = []

    def run(self) -> Result:
        """Raises Refused, Unreachable, StepFailed: nothing is lost by it; the next run begins anew."""
        self._p.storage.proven()
        position = self._p.index.position()
        story = self._story(position.timeline)
        self.result.timeline = position.timeline
        self._p.plan.make(self._p.index.every())
        self.result.rows = self._p.plan.totals()[0]
        for first in FOLDERS:
            self._missing(first)
        self._believable()
        self._orphaned(story)
        self._p.plan.drop()
        if self._p.index.position().timeline != position.timeline:
            raise Unreachable("the database failed over in the meantime: compare again")
        return self.result

    def _story(self, timeline: int) -> Story:
        """Waits for the newest fork: without it what a failover lost looks like what somebody deleted."""
        for _ in range(HISTORY_LOOKS):
            forks = self._p.forks.forks()
            if timeline <= 1 or any(fork.timeline == timeline - 1 for fork in forks):
                return Story(timeline, forks)
            if self._p.wait(HISTORY_POLL):
                raise Unreachable("asked to stop")
        raise Unreachable(f"Patroni's history does not say yet where timeline {timeline - 1} ended")

    def _believable(self) -> None:
        """An index that was restored from an old backup, or is another one, is no loss of a few seconds."""
        lost, files = len(self._orphans), self.result.files
        if lost > SUSPICIOUS and lost * 2 > files and not self._force and not self.result.dry:
            raise Refused(
                f"{lost} of {files} files have no row: is this the right index?",
                hint="hactl archive reconcile start --dry-run; then on the node: reconcile run --force",
            )

    def _missing(self, first: str) -> None:
        """One pass over both sides; rows without file are looked at again at once, orphans later."""
        there, _ = self._p.storage.below(first)
        lonely: list[Row] = []
        for second in sorted({*there, *self._p.plan.folders(first)}):
            prefix = first + second
            files = self._p.storage.listing(prefix).files
            self.result.files += len(files)
            for row, file in compare.merged(self._p.plan.below(prefix), files):
                if file is None and row is not None:
                    lonely.append(row)
                elif row is None and file is not None:
                    self._orphans.append(file)
        if lonely:
            self._p.storage.proven()
        self._report_missing(lonely)

    def _report_missing(self, rows: Sequence[Row]) -> None:
        now = self._p.index.of_resources([row.resource for row in rows]) if rows else []
        for row in set(rows).intersection(now):
            _, gone = self._p.manifest.of(row.uuid)
            why = "the index has it, the storage has not"
            if gone is not None:
                why = f"it was deleted at {gone.seen.lsn}, and the deletion was lost: delete it again"
            self.result.missing += 1
            self.result.note("missing", row.uuid, why)
            self._p.marks.add([compare.missing(row)], self.result.run)

    def _orphaned(self, story: Story) -> None:
        waiting = self._without_row(self._orphans)
        for _ in range(_RETRY):
            ripe = self._p.wall() - self._p.grace
            young = [file for file in waiting if file.modified > ripe]
            old = [file for file in waiting if file.modified <= ripe]
            for number, file in enumerate(self._without_row(old)):
                if number % PROVE_AGAIN == 0:
                    self._p.storage.proven()
                self._one(file, story)
            if not young:
                return
            newest = max(file.modified for file in young)
            if self._p.wait(max(0.1, min(self._p.grace, newest + self._p.grace - self._p.wall() + 0.5))):
                raise Unreachable("asked to stop")
            waiting = young
        for file in waiting:
            self.result.fates[Fate.WAIT] += 1
            self.result.note(Fate.WAIT, file.uuid, "its row may still come")

    def _without_row(self, files: Sequence[Stored]) -> list[Stored]:
        """The plan is some seconds old: what has a row by now is no orphan."""
        there = self._p.index.having([file.uuid for file in files]) if files else {}
        return [f for f in files if f.uuid not in there and (self._p.storage.root / place(f.uuid)).exists()]

    def _one(self, file: Stored, story: Story) -> None:
        path = self._p.storage.root / place(file.uuid)
        try:
            hashed = self._p.storage.hashed(file.uuid, md5=True)
        except OSError as error:
            self._left(Fate.BROKEN, file, error.strerror or "it cannot be read")
            return
        image = dicom.look(path)
        stored = self._p.index.image(image.public_id) if image.public_id else None
        entry, gone = self._p.manifest.of(file.uuid)
        known = Known(
            age=self._p.wall() - file.modified, md5=hashed.md5 or "", whole=not image.why,
            in_window=file.modified >= self._p.since, stored_md5=_md5(stored), entry=entry, gone=gone,
        )  # fmt: skip
        what, why = fate(known, story.forks, story.timeline, 0.0)
        if what is Fate.LOST:
            self._lost(file, why, hashed.md5 or "")
        elif what is Fate.DUPLICATE:
            self.result.fates[what] += 1
            self.result.note(what, file.uuid, why, self._aside(file.uuid))
        else:
            self._left(what, file, image.why or why)

    def _left(self, what: Fate, file: Stored, why: str) -> None:
        self.result.fates[what] += 1
        self.result.note(what, file.uuid, why)
        orphan = Finding(Kind.ORPHAN, file.uuid, place(file.uuid), f"{what}: {why}", file.size)
        self._p.marks.add([orphan], self.result.run)

    def _lost(self, file: Stored, why: str, md5: str) -> None:
        self.result.fates[Fate.LOST] += 1
        if self.result.dry:
            self.result.note(Fate.LOST, file.uuid, why, "would be stored again")
            return
        try:
            did = self._store_again(file, md5)
        except Refused as error:
            self.result.fates[Fate.LOST] -= 1
            self._left(Fate.BROKEN, file, str(error))
            return
        except (Unreachable, StepFailed) as error:
            self.result.failed += 1
            self.result.note(Fate.LOST, file.uuid, why, f"not stored again: {error}")
            return
        self.result.restored += 1
        self.result.note(Fate.LOST, file.uuid, why, did)

    def _store_again(self, file: Stored, md5: str) -> str:
        """Through the archive's own door. The file moves when the index has the very bytes."""
        answer = self._p.door.ingest(self._p.storage.root / place(file.uuid))
        row = self._p.index.image(answer.public_id)
        if row is None:
            raise StepFailed("the archive said yes, and its index has no such image")
        if _md5(row) != md5:
            raise StepFailed(f"the archive has other bytes for it, as {row.uuid}")
        how = "stored again" if answer.new else "was there already"
        return f"{how} as {row.uuid}; {self._aside(file.uuid)}"

    def _aside(self, uuid: str) -> str:
        if self.result.dry:
            return "would be kept aside"
        try:
            kept = self._p.hand.aside(uuid)
            self._p.marks.mend(place(uuid), self.result.run, f"kept as {kept}")
            return f"the file is kept as {kept}"  # noqa: TRY300 - the two belong together
        except (StepFailed, Unreachable) as error:
            return f"the file stays where it is: {error}"


def _md5(row: Row | None) -> str:
    return row.md5 if row is not None and row.kind == DICOM else ""


def stages(result: Result) -> Iterator[str]:
    """What a run came to, as sentences."""
    yield f"{result.rows} rows, {result.files} files, timeline {result.timeline}"
    lost = result.fates[Fate.LOST]
    if lost:
        done = "would be stored again" if result.dry else f"{result.restored} stored again"
        yield f"{lost} images had lost their rows: {done}"
    yield from (f"{count} files: {what}" for what, count in sorted(result.fates.items()) if what != Fate.LOST)
    if result.missing:
        yield f"{result.missing} rows have no file"
    if result.failed:
        yield f"{result.failed} images could not be stored again: they are still there, and tried again"
