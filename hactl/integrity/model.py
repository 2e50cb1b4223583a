"""What integrity is about: rows of the index, files of the storage, what was hashed at ingest. Pure."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from hactl.units import Lsn

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
DICOM: Final = 1  # attachedfiles.filetype of the image itself; others are made from it, or added by users


class Kind(enum.StrEnum):
    """What is wrong with an object. The value is what reports and metrics say."""

    CONTENT = "content"  # the bytes are not those of the index's digest
    SIZE = "size"  # shorter or longer than the index says
    MISSING = "missing"  # a row without its file
    UNREADABLE = "unreadable"  # the disk gives no answer, or an error
    INDEX = "index"  # the file is as it was at ingest, the index's digest is not
    TAMPERED = "tampered"  # file and index agree with each other, and not with what was hashed at ingest
    ORPHAN = "orphan"  # an image file without a row
    FOREIGN = "foreign"  # something that the archive did not put there


DAMAGE: Final = frozenset({Kind.CONTENT, Kind.SIZE, Kind.MISSING, Kind.UNREADABLE, Kind.TAMPERED})
REPAIRABLE: Final = frozenset({Kind.CONTENT, Kind.SIZE, Kind.MISSING, Kind.UNREADABLE})


@dataclass(frozen=True, order=True)
class Position:
    """A place in the database's write-ahead log: its timeline and LSN."""

    timeline: int
    lsn: Lsn


@dataclass(frozen=True)
class Row:
    """A row of attachedfiles: sizes and digest are those of the file on the disk. `md5` empty: none kept."""

    uuid: str
    size: int
    md5: str
    resource: int
    kind: int


@dataclass(frozen=True)
class Stored:
    """A file of the storage; `modified` in Unix seconds of whoever wrote it."""

    uuid: str
    size: int
    modified: float


@dataclass(frozen=True)
class Hashed:
    """What reading a file gave. `md5` None: not computed."""

    size: int
    sha256: str
    md5: str | None = None


@dataclass(frozen=True)
class Entry:
    """The manifest's word of an object. `ingest`: hashed when it was new; False: found later.

    `seen`: where the write-ahead log was after its row had first been seen: the row's commit lies before.
    """

    uuid: str
    size: int
    md5: str
    sha256: str
    ingest: bool
    seen: Position


@dataclass(frozen=True)
class Gone:
    """The manifest's note that a row was seen to go.

    `how`: `deleted` (Orthanc's own table of its last deletion named it) or `vanished` (it was there, and
    later on the same timeline it was not).
    """

    uuid: str
    seen: Position
    how: str


@dataclass(frozen=True)
class Finding:
    """One object that is not as it should be. `path` is relative to the storage."""

    kind: Kind
    uuid: str
    path: str
    why: str
    size: int = 0


def is_uuid(name: str) -> bool:
    return _UUID.fullmatch(name) is not None


def place(uuid: str) -> str:
    """Where Orthanc keeps an attachment below its storage folder."""
    return f"{uuid[:2]}/{uuid[2:4]}/{uuid}"
