"""Putting back what is damaged, from another copy that is proven to be the original."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hactl.errors import StepFailed, Unreachable
from hactl.integrity.hand import Hand
from hactl.integrity.model import Entry, Hashed, Row, place
from hactl.integrity.storage import CHUNK, Storage, digest, opened


@dataclass(frozen=True)
class Mender:
    """`copies`: folders laid out as the storage is: a backup, a second storage. They are only read."""

    storage: Storage
    copies: Sequence[Path]
    hand: Hand

    def mend(self, row: Row, entry: Entry | None) -> str:
        """Put the original back, the damaged file kept aside. What was done.

        Raises:
            StepFailed: there is no copy that is proven good, or it could not be written.
            Unreachable: the storage's hand does not answer.

        """
        source, found = self._good(row, entry)
        kept = self._set_aside(row.uuid)
        with opened(source) as handle, open(handle, "rb", closefd=False) as content:
            self.hand.put(row.uuid, content, found.size, found.sha256)
        if self.storage.hashed(row.uuid, md5=False, cold=True).sha256 != found.sha256:
            raise StepFailed("what was written back reads differently: look at the disk")
        return f"written back from {source}{f'; the damaged file is {kept}' if kept else ''}"

    def _set_aside(self, uuid: str) -> str:
        if not (self.storage.root / place(uuid)).exists():
            return ""
        return self.hand.aside(uuid)

    def _good(self, row: Row, entry: Entry | None) -> tuple[Path, Hashed]:
        if entry is None and not row.md5:
            raise StepFailed("neither the index nor the manifest has a digest: no copy can be proven")
        tried = []
        for path in self._candidates(row.uuid):
            with contextlib.suppress(OSError), opened(path) as handle:
                found = digest(handle, bytearray(CHUNK), md5=True)
                if _is_original(found, row, entry):
                    return path, found
                tried.append(str(path))
        raise StepFailed(f"no good copy; damaged as well: {', '.join(tried)}" if tried else "no other copy")

    def _candidates(self, uuid: str) -> Iterator[Path]:
        yield from (folder / place(uuid) for folder in self.copies)
        with contextlib.suppress(OSError):  # where it cannot be listed there is nothing to try
            yield from sorted((self.storage.root / ".hactl-kept").glob(f"{uuid}.*"))


def _is_original(found: Hashed, row: Row, entry: Entry | None) -> bool:
    if entry is not None:
        return found.sha256 == entry.sha256
    return found.size == row.size and found.md5 == row.md5


def mended(mender: Mender | None, row: Row, entry: Entry | None) -> tuple[bool, str]:
    """Whether it is well again, and what is to be said of it."""
    if mender is None:
        return False, "not tried"
    try:
        return True, mender.mend(row, entry)
    except (StepFailed, Unreachable, OSError) as error:
        return False, str(error)
