"""Index against storage, in both directions, and one object against what is known of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from hactl.integrity.model import Entry, Finding, Hashed, Kind, Row, Stored, place

Pair = tuple[Row | None, Stored | None]
_T = TypeVar("_T", Row, Stored)


def merged(rows: Iterable[Row], files: Iterable[Stored]) -> Iterator[Pair]:
    """Both sides by their uuid, each sorted by it; one object in memory at a time.

    Raises:
        ValueError: a side is not sorted, or has a uuid twice. Half of it would seem to be missing.

    """
    left, right = _sorted(rows, "index"), _sorted(files, "storage")
    row, file = next(left, None), next(right, None)
    while row is not None or file is not None:
        if file is None or (row is not None and row.uuid < file.uuid):
            yield row, None
            row = next(left, None)
        elif row is None or file.uuid < row.uuid:
            yield None, file
            file = next(right, None)
        else:
            yield row, file
            row, file = next(left, None), next(right, None)


def _sorted(items: Iterable[_T], what: str) -> Iterator[_T]:
    last = ""
    for item in items:
        if item.uuid <= last:
            raise ValueError(f"the {what} is not sorted: {item.uuid} after {last}")
        last = item.uuid
        yield item


def wrong_size(row: Row, file_size: int) -> Finding | None:
    if file_size == row.size:
        return None
    how = "truncated" if file_size < row.size else "longer than it was"
    why = f"{how}: {file_size} bytes, the index says {row.size}"
    return Finding(Kind.SIZE, row.uuid, place(row.uuid), why, row.size)


def needs_md5(row: Row, entry: Entry | None, sha256: str) -> bool:
    """One pass of SHA-256 suffices where the manifest knows the object: it has those bytes' MD5."""
    return bool(row.md5) and (entry is None or entry.sha256 != sha256)


def judge(row: Row, hashed: Hashed, entry: Entry | None) -> Finding | None:
    """`hashed.md5` is there where `needs_md5` says so; None: all is well.

    Three words are compared: the bytes, the index, and the manifest, which the index's owner cannot write.
    """
    found = wrong_size(row, hashed.size)
    if found is not None:
        return found
    if entry is None:
        same = not row.md5 or hashed.md5 == row.md5
        return None if same else _finding(Kind.CONTENT, row, "its MD5 is not the index's")
    if hashed.sha256 == entry.sha256:
        same = not row.md5 or row.md5 == entry.md5
        why = "the file is as it was at ingest; the index's MD5 was changed since"
        return None if same else _finding(Kind.INDEX, row, why)
    if row.md5 and hashed.md5 == row.md5:
        why = "the file and the index's MD5 were both changed since ingest"
        return _finding(Kind.TAMPERED, row, why)
    return _finding(Kind.CONTENT, row, "its SHA-256 is not that of ingest")


def _finding(kind: Kind, row: Row, why: str) -> Finding:
    return Finding(kind, row.uuid, place(row.uuid), why, row.size)


def missing(row: Row) -> Finding:
    return _finding(Kind.MISSING, row, "the index has it, the storage has not")
