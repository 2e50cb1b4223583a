"""Reads every object of the archive and says which are not what they were; can be interrupted."""

from __future__ import annotations

import collections
import concurrent.futures
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from hactl.errors import Unreachable
from hactl.integrity import compare
from hactl.integrity.index import Index
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.mend import Mender, mended
from hactl.integrity.model import DAMAGE, REPAIRABLE, Entry, Finding, Hashed, Kind, Row, Stored, place
from hactl.integrity.pace import Pace
from hactl.integrity.plan import Plan
from hactl.integrity.reports import Progress
from hactl.integrity.storage import FOLDERS, Stopped, Storage

BATCH_FILES: Final = 64
BATCH_BYTES: Final = 32 * 1024 * 1024
AHEAD: Final = 3  # batches for each reader that may be under way or waiting
SUSPECTS: Final = 500  # until the index is asked again about them
SAVE_EVERY: Final = 2.0  # s
PROVE_EVERY: Final = 10.0  # s: a storage that was unmounted must not be reported as a million lost images
GRACE: Final = 120.0  # s: a file comes before its row, and the row may wait for the database for a minute
_NEVER: Final = frozenset({Kind.ORPHAN, Kind.FOREIGN})


@dataclass(frozen=True)
class ScrubParts:
    """What a scrub works with. `save` writes the progress; `stopping`: asked to end."""

    index: Index
    storage: Storage
    plan: Plan
    manifest: Manifest
    marks: Marks
    pace: Pace
    readers: int
    save: Callable[[Progress], None]
    stopping: Callable[[], bool]
    mender: Mender | None = None


@dataclass
class _Batch:
    """Objects of one folder, or of a part of it. `ends`: the folder is done with it."""

    prefix: str
    items: list[tuple[Row, Entry | None]] = field(default_factory=list)
    size: int = 0
    ends: bool = False

    def full(self) -> bool:
        return len(self.items) >= BATCH_FILES or self.size >= BATCH_BYTES


@dataclass
class _Read:
    """What reading a batch gave. `doubts` are checked against the index of now before they count."""

    doubts: list[tuple[Row, Finding]] = field(default_factory=list)
    done: int = 0
    size: int = 0
    known: int = 0
    unchecked: int = 0


class Scrub:
    """One run. `progress` is new, or that of the run that goes on."""

    def __init__(self, parts: ScrubParts, progress: Progress) -> None:
        self._p, self.progress = parts, progress
        self._doubts: list[tuple[Row, Finding]] = []
        self._orphans: list[Finding] = []
        self._foreign: list[Finding] = []
        self._saved = self._proved = self._counted = time.monotonic()

    def run(self) -> bool:
        """Whether it went to its end. Raises Refused, Unreachable, StepFailed: it can go on later."""
        self._p.storage.proven()
        self._plan()
        self.progress.state = "running"
        self._save(now=True)
        if not self._read_all():
            self._look_again()
            self.progress.state = "stopped"
            self._save(now=True)
            return False
        self._tops()
        self._look_again()
        self._mend()
        self._end()
        return True

    def _plan(self) -> None:
        p = self.progress
        if not (p.position and self._p.plan.made()):
            p.position, p.planned = "", time.time()
            p.done = p.done_bytes = p.known = p.unchecked = 0
            self._p.plan.make(self._p.index.every())
        p.objects, p.bytes = self._p.plan.totals()

    def _read_all(self) -> bool:
        pending: collections.deque[tuple[_Batch, concurrent.futures.Future[_Read]]] = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(self._p.readers, "scrub") as pool:
            try:
                for batch in self._batches():
                    if self._p.stopping():
                        break
                    pending.append((batch, pool.submit(self._read, batch)))
                    while len(pending) > AHEAD * self._p.readers or (pending and pending[0][1].done()):
                        self._taken(*pending.popleft())
                while pending:
                    self._taken(*pending.popleft())
            except Stopped:
                for _, future in pending:
                    future.cancel()
        return not self._p.stopping()

    def _batches(self) -> Iterator[_Batch]:
        for prefix in self._prefixes():
            batch = _Batch(prefix)
            for row, entry in self._compared(prefix):
                if batch.full():
                    yield batch
                    batch = _Batch(prefix)
                batch.items.append((row, entry))
                batch.size += row.size
            batch.ends = True
            yield batch

    def _prefixes(self) -> Iterator[str]:
        """Folders of the second level that the storage or the index has, behind the position."""
        after = self.progress.position
        for first in FOLDERS:
            if first < after[:2]:
                continue
            try:
                there, foreign = self._p.storage.below(first)
            except Unreachable as error:
                there, foreign = (), ()
                self._foreign.append(Finding(Kind.UNREADABLE, "", first, error.message))
            self._foreign += [Finding(Kind.FOREIGN, "", path, "not an archive's folder") for path in foreign]
            for second in sorted({*there, *self._p.plan.folders(first)}):
                if first + second > after:
                    yield first + second

    def _compared(self, prefix: str) -> Iterator[tuple[Row, Entry | None]]:
        """What is to be read in a folder; the rest is a finding at once, or a doubt."""
        try:
            found = self._p.storage.listing(prefix)
        except Unreachable as error:
            path = f"{prefix[:2]}/{prefix[2:]}"
            self._foreign.append(Finding(Kind.UNREADABLE, "", path, error.message))
            return
        self._foreign += [Finding(Kind.FOREIGN, "", path, "no image's name") for path in found.foreign]
        entries = self._p.manifest.below(prefix)
        for row, file in compare.merged(self._p.plan.below(prefix), found.files):
            if row is None:
                self._without_row(file)
            elif file is None:
                self._doubts.append((row, compare.missing(row)))
                self._count(_Read(done=1))
            else:
                yield row, entries.get(row.uuid)

    def _without_row(self, file: Stored | None) -> None:
        if file is not None and file.modified < self.progress.planned - GRACE:
            why = "a file without a row in the index"
            self._orphans.append(Finding(Kind.ORPHAN, file.uuid, place(file.uuid), why, file.size))

    def _read(self, batch: _Batch) -> _Read:
        """In a reader's thread."""
        found = _Read()
        for row, entry in batch.items:
            finding, size = self._check(row, entry)
            if finding is not None:
                found.doubts.append((row, finding))
            found.done += 1
            found.size += size
            found.known += entry is not None
            found.unchecked += entry is None and not row.md5
        return found

    def _check(self, row: Row, entry: Entry | None) -> tuple[Finding | None, int]:
        try:
            hashed = self._hash(row, md5=entry is None and bool(row.md5))
            if hashed.md5 is None and compare.needs_md5(row, entry, hashed.sha256):
                hashed = self._hash(row, md5=True)  # it is not as it was: is the index of the same opinion?
        except FileNotFoundError:
            return compare.missing(row), 0
        except OSError as error:
            why = error.strerror or "it cannot be read"
            return Finding(Kind.UNREADABLE, row.uuid, place(row.uuid), why, row.size), 0
        return compare.judge(row, hashed, entry), hashed.size

    def _hash(self, row: Row, *, md5: bool) -> Hashed:
        return self._p.storage.hashed(row.uuid, md5=md5, want=self._p.pace.take, cold=True)

    def _taken(self, batch: _Batch, future: concurrent.futures.Future[_Read]) -> None:
        found = future.result()
        self._doubts += found.doubts
        self._count(found)
        if batch.ends:
            self.progress.position = batch.prefix
        if len(self._doubts) >= SUSPECTS:
            self._look_again()
        self._save(now=False)

    def _count(self, found: _Read) -> None:
        p = self.progress
        p.done, p.done_bytes = p.done + found.done, p.done_bytes + found.size
        p.known, p.unchecked = p.known + found.known, p.unchecked + found.unchecked

    def _tops(self) -> None:
        _, foreign = self._p.storage.top()
        self._foreign += [Finding(Kind.FOREIGN, "", path, "not an archive's folder") for path in foreign]

    def _look_again(self) -> None:
        """The plan is a copy of then: what was deleted or stored since is no finding."""
        self._p.storage.proven()
        self._p.marks.add([*self._confirmed(self._doubts), *self._foreign], self.progress.run)
        there = self._p.index.having([f.uuid for f in self._orphans]) if self._orphans else {}
        self._p.marks.add((f for f in self._orphans if f.uuid not in there), self.progress.run)
        self._doubts, self._foreign, self._orphans = [], [], []

    def _confirmed(self, doubts: Sequence[tuple[Row, Finding]]) -> Iterator[Finding]:
        if not doubts:
            return
        now = {row.uuid: row for row in self._p.index.of_resources([row.resource for row, _ in doubts])}
        for row, finding in doubts:
            if now.get(row.uuid) == row:
                yield finding

    def _mend(self) -> None:
        """What has a copy that is proven good."""
        p = self.progress
        p.state = "mending"
        self._save(now=True)
        marks = self._p.marks.open(REPAIRABLE) if self._p.mender is not None else []
        rows = self._p.index.having([m.finding.uuid for m in marks if m.finding.uuid]) if marks else {}
        for mark in marks:
            row = rows.get(mark.finding.uuid)
            if row is None or self._p.stopping():
                continue
            done, said = mended(self._p.mender, row, self._p.manifest.of(row.uuid)[0])
            if done:
                p.mended += 1
                self._p.marks.mend(mark.finding.path, p.run, said)
            else:
                self._p.marks.say(mark.finding.path, said)

    def _end(self) -> None:
        p = self.progress
        self._p.marks.settle(p.run, (*DAMAGE, Kind.INDEX, *_NEVER))
        p.state, p.position, p.last_whole = "done", "", time.time()
        self._save(now=True)
        self._p.plan.drop()

    def _save(self, *, now: bool) -> None:
        clock = time.monotonic()
        if clock - self._proved > PROVE_EVERY:
            self._p.storage.proven()
            self._proved = clock
        if not now and clock - self._saved < SAVE_EVERY:
            return
        if not now:
            self._look_again()  # before a position is written what was found up to it must be
        p = self.progress
        p.active_s += clock - self._counted
        p.held_s = self._p.pace.held
        p.marks = self._p.marks.counts()
        self._saved = self._counted = clock
        self._p.save(p)
