"""The image storage as files: walked folder by folder, read once, never written (see hand.py for that)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hactl.errors import Refused, Unreachable
from hactl.integrity.model import Hashed, Stored, is_uuid, place
from hactl.layout import STORAGE_MARKER

CHUNK: Final = 1024 * 1024
_HEX: Final = re.compile(r"[0-9a-f]{2}")
OURS: Final = (".hactl", "lost+found")  # what begins so in the storage's root is hactl's, or ext4's
SCRATCH: Final = ".hactl-"
FOLDERS: Final = tuple(f"{n:02x}" for n in range(256))


class Stopped(Exception):
    """The work is to stop: not an error."""


@dataclass(frozen=True)
class Listing:
    """One folder of the second level: its images by uuid, sorted, and what does not belong there."""

    files: tuple[Stored, ...]
    foreign: tuple[str, ...]


class Storage:
    """Reading needs the group `orthanc`. Where the root cannot be listed, its folders' names are known."""

    def __init__(self, root: Path, cluster: str) -> None:
        self._root, self._cluster = root, cluster
        self._local = threading.local()

    @property
    def root(self) -> Path:
        return self._root

    def proven(self) -> None:
        """Raises Refused: another installation's storage, or none. In an empty one all would be missing."""
        marker = self._root / STORAGE_MARKER
        try:
            found = marker.read_bytes()[:65].decode(errors="replace").strip()
        except OSError as error:
            raise Refused(f"{marker} cannot be read ({error.strerror}): is the storage mounted?") from error
        if found != self._cluster:
            raise Refused(f"{marker} says {found!r}, not {self._cluster!r}: another installation's storage")

    def top(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The folders of the first level, and what else lies there (nothing where listing is denied)."""
        try:
            names = sorted(os.listdir(self._root))  # noqa: PTH208 - names only, of one folder
        except PermissionError:
            return tuple(n for n in FOLDERS if (self._root / n).is_dir()), ()
        except OSError as error:
            raise Unreachable(f"{self._root}: {error.strerror}") from error
        folders = tuple(n for n in names if _HEX.fullmatch(n))
        return folders, tuple(n for n in names if n not in folders and not n.startswith(OURS))

    def below(self, first: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The folders of the second level, sorted, and what does not belong there, as paths."""
        folders, foreign = [], []
        for entry in self._entries(self._root / first):
            if _HEX.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                foreign.append(f"{first}/{entry.name}")
        return tuple(sorted(folders)), tuple(sorted(foreign))

    def listing(self, prefix: str) -> Listing:
        """What lies in the folder of `prefix`, the first four characters of a uuid."""
        first, second = prefix[:2], prefix[2:]
        files, foreign = [], []
        for entry in self._entries(self._root / first / second):
            if entry.name.startswith(SCRATCH) and is_uuid(entry.name.removeprefix(SCRATCH)):
                continue  # being written just now, or left by a hand that was interrupted
            ours = is_uuid(entry.name) and entry.name.startswith(prefix)
            found = _stat(entry) if ours else None
            if found is not None and stat.S_ISREG(found.st_mode):
                files.append(Stored(entry.name, found.st_size, found.st_mtime))
            elif not ours or found is not None:
                foreign.append(f"{first}/{second}/{entry.name}")
        return Listing(tuple(sorted(files, key=lambda f: f.uuid)), tuple(sorted(foreign)))

    def _entries(self, folder: Path) -> Iterator[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as found:
                yield from found
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise Unreachable(f"{folder}: {error.strerror}") from error

    @contextlib.contextmanager
    def opened(self, uuid: str) -> Iterator[int]:
        """A descriptor of a regular file. Raises FileNotFoundError, OSError."""
        with opened(self._root / place(uuid)) as handle:
            yield handle

    def hashed(
        self, uuid: str, *, md5: bool, want: Callable[[int], bool] | None = None, cold: bool = False
    ) -> Hashed:
        """One pass over the file. `want` is asked after each piece; Stopped when it says no.

        `cold`: read the disk, not what memory still has of it, and leave nothing in memory: a scrub looks at
        the disk, and must not push out what others need. Raises FileNotFoundError, OSError, Stopped.
        """
        if not hasattr(self._local, "buffer"):
            self._local.buffer = bytearray(CHUNK)
        with self.opened(uuid) as handle:
            if cold:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            found = digest(handle, self._local.buffer, md5=md5, want=want)
            if cold:
                os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            return found


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO must not hold us up
    handle = os.open(path, flags)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(22, "not a regular file")
        yield handle
    finally:
        os.close(handle)


def digest(handle: int, buffer: bytearray, *, md5: bool, want: Callable[[int], bool] | None = None) -> Hashed:
    """SHA-256, and MD5 if asked, of an open file from its beginning. Raises OSError, Stopped."""
    sha, old, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False) if md5 else None, 0
    view = memoryview(buffer)
    while True:
        count = os.readv(handle, [view])
        if not count:
            break
        piece = view[:count]
        sha.update(piece)
        if old is not None:
            old.update(piece)
        size += count
        if want is not None and not want(count):
            raise Stopped
        if count < len(buffer) and os.fstat(handle).st_size == size:
            break  # most images end here: one read less for each
    return Hashed(size, sha.hexdigest(), old.hexdigest() if old else None)


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None  # deleted just now
