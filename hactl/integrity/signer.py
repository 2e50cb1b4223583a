"""Signs each new image seconds after it was stored, without touching it; and checks what was signed.

The index is polled as by the manifest's follower. An image is copied, its MD5 must be the index's, dcmsign
signs the copy, and the signature alone is kept. Before it is kept it must verify together with the original's
bytes: what is written down can be proven at that moment, or is written down as not signable.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from hactl.errors import StepFailed, Unreachable
from hactl.integrity import compare, dcmsign, splice
from hactl.integrity.dcmsign import SigningKeys, Word
from hactl.integrity.index import Index
from hactl.integrity.model import DICOM, Hashed, Row
from hactl.integrity.signatures import NOT, OWN, SIGNED, Signature, Signatures
from hactl.integrity.splice import NotSignable
from hactl.integrity.storage import CHUNK, Stopped, Storage

AT_ONCE: Final = 100
BACK: Final = 200  # a row that commits late has a number below others that were seen already
BACK_AFTER_FAILOVER: Final = 20_000  # numbers may be given a second time


@dataclass(frozen=True)
class SignerParts:
    """`scratch`: a folder of our own for copies."""

    index: Index
    storage: Storage
    store: Signatures
    keys: SigningKeys
    scratch: Path
    wall: Callable[[], str]
    want: Callable[[int], bool]


@dataclass(frozen=True)
class Checked:
    """`word`: of dcmsign, or `missing`, `changed` (outside of what a signature covers), `not-signable`."""

    uuid: str
    word: str
    why: str = ""

    @property
    def fine(self) -> bool:
        return self.word in {Word.OK, NOT}


class Signer:
    def __init__(self, parts: SignerParts) -> None:
        self._p = parts
        notes = parts.store.notes()
        self._at, self._timeline = int(notes.get("at", -1)), int(notes.get("timeline", 0))

    def once(self) -> bool:
        """One look. True: there is more to do at once. Raises Unreachable, Refused, StepFailed, Stopped."""
        self._p.storage.proven()
        if self._at < 0:
            self._at = self._p.index.newest()  # what is there already was not seen at its ingest
            self._p.store.note({"since": str(self._at)})
        rows = self._p.index.after(max(self.since, self._at - BACK), AT_ONCE + BACK)
        now = self._p.index.position()
        if self._timeline and now.timeline != self._timeline:
            self._failover(now.timeline)
            return True
        for row in rows:
            if row.kind == DICOM and self._p.store.of(row.uuid) is None:
                found = self._one(row)
                if found is not None:
                    self._p.store.add(found)
        self._at = max([self._at, *(row.resource for row in rows)])
        self._p.store.note({"at": str(self._at), "timeline": str(now.timeline)})
        self._timeline = now.timeline
        return len(rows) > AT_ONCE

    def _failover(self, timeline: int) -> None:
        since = min(self.since, self._p.index.newest())
        self._at, self._timeline = max(since, self._at - BACK_AFTER_FAILOVER), timeline
        notes = {"since": since, "at": self._at, "timeline": timeline}
        self._p.store.note({name: str(value) for name, value in notes.items()})

    @property
    def since(self) -> int:
        return int(self._p.store.notes().get("since", 0))

    def _one(self, row: Row) -> Signature | None:
        """None: it went, or is not as the index says: the manifest and the scrub tell of that."""
        with self._scratch() as folder:
            copy = folder / "copy"
            try:
                hashed = self._copied(row.uuid, copy)
            except FileNotFoundError:
                return None
            if compare.judge(row, hashed, None) is not None:
                return None
            made = Signature(row.uuid, SIGNED, hashed.sha256, self._p.wall())
            return self._signed(made, copy, folder)

    def _signed(self, made: Signature, copy: Path, folder: Path) -> Signature:
        try:
            with copy.open("rb") as file:
                if splice.carries_its_own(file):
                    return dataclasses.replace(made, kind=OWN)
            signed, again = folder / "signed", folder / "again"
            try:
                dcmsign.sign(self._p.keys, copy, signed)
            except StepFailed as error:
                self._able(folder)
                raise NotSignable(str(error)) from error
            block = splice.cut_out(signed)
            _join(copy, block, again)
            word, why = dcmsign.check(self._p.keys, again)
        except NotSignable as error:
            return dataclasses.replace(made, kind=NOT, why=str(error))
        if word is Word.CORRUPT:
            return dataclasses.replace(made, kind=NOT, why=f"its own signature does not verify: {why}")
        if word is not Word.OK:
            raise StepFailed(f"a signature just made is {word}: {why}", hint="archive.signing in the spec")
        return dataclasses.replace(made, block=block)

    def status(self) -> dict[str, object]:
        """How many images are signed, came signed, or cannot be."""
        return {kind: self._p.store.counts().get(kind, 0) for kind in (SIGNED, OWN, NOT)}

    def _able(self, folder: Path) -> None:
        """Raises StepFailed unless a file without faults can be signed: only then is it the image's fault."""
        good, signed = folder / "good", folder / "good-signed"
        good.write_bytes(splice.smallest())
        dcmsign.sign(self._p.keys, good, signed)

    # Checking

    def check(self, row: Row) -> Checked:
        """Whether an image is what was signed. Raises Unreachable, StepFailed."""
        found = self._p.store.of(row.uuid)
        if found is None:
            return Checked(row.uuid, Word.UNSIGNED, "there is no signature of it")
        with self._scratch() as folder:
            copy, again = folder / "copy", folder / "again"
            try:
                hashed = self._copied(row.uuid, copy)
            except FileNotFoundError:
                return Checked(row.uuid, "missing", "the index has it, the storage has not")
            same = hashed.sha256 == found.sha256
            if found.kind == NOT:
                return Checked(row.uuid, NOT if same else "changed", found.why)
            try:
                if found.kind == SIGNED:
                    _join(copy, found.block, again)
                word, why = dcmsign.check(self._p.keys, again if found.kind == SIGNED else copy)
            except (NotSignable, StepFailed) as error:
                return Checked(row.uuid, Word.CORRUPT, str(error))
            if word is Word.OK and not same:
                return Checked(row.uuid, "changed", "outside of what the signature covers")
            return Checked(row.uuid, word, why)

    def export(self, row: Row, target: BinaryIO) -> None:
        """The image with its signature in it, for whoever verifies it without hactl.

        Raises StepFailed: it has none, or cannot be put together.
        """
        found = self._p.store.of(row.uuid)
        if found is None or found.kind == NOT:
            raise StepFailed(f"there is no signature of {row.uuid}")
        try:
            with self._p.storage.opened(row.uuid) as handle, os.fdopen(os.dup(handle), "rb") as original:
                if found.kind == OWN:
                    while piece := original.read(CHUNK):
                        target.write(piece)
                else:
                    splice.joined(original, found.block, target)
        except (OSError, NotSignable) as error:
            raise StepFailed(f"{row.uuid}: {error}") from error

    def rows(self) -> Iterator[Row]:
        """Images that came since signing began, by uuid."""
        since = self.since
        return (row for row in self._p.index.every() if row.kind == DICOM and row.resource > since)

    def _copied(self, uuid: str, target: Path) -> Hashed:
        """One pass: what is signed is what was hashed. Raises FileNotFoundError, Unreachable, Stopped."""
        sha, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        try:
            with self._p.storage.opened(uuid) as handle, target.open("wb") as out:
                while piece := os.read(handle, CHUNK):
                    sha.update(piece)
                    md5.update(piece)
                    size += len(piece)
                    out.write(piece)
                    if not self._p.want(len(piece)):
                        raise Stopped
        except FileNotFoundError:
            raise
        except OSError as error:
            raise Unreachable(f"{uuid}: {error.strerror}") from error
        return Hashed(size, sha.hexdigest(), md5.hexdigest())

    @contextlib.contextmanager
    def _scratch(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="sign-", dir=self._p.scratch) as folder:  # 0700
            yield Path(folder)


def _join(original: Path, block: splice.Block, target: Path) -> None:
    with original.open("rb") as source, target.open("wb") as out:
        splice.joined(source, block, out)
