"""The image storage as this node's kernel has it. Every call may hang with a dead mount."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hactl import layout
from hactl.errors import StepFailed, Unreachable
from hactl.view.model import Probe, State
from hactl.view.storage import StorageSeen

BLOCK: Final = 4096
WRITE_EVERY: Final = 10.0  # s: a disk has better things to do
# Below these an archive is full: the files of one study of some modalities need as much.
ROOM: Final = 1024 * 1024 * 1024
INODES: Final = 1000


class StorageEyes:
    """`node`: whose 4 KiB are written; each node has a file of its own."""

    def __init__(self, storage: Path, node: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._storage, self._node, self._now = storage, node, monotonic
        self._wrote: float | None = None

    def seen(self) -> StorageSeen:
        """Never raises: what cannot be read is not there."""
        marker = self._storage / layout.STORAGE_MARKER
        try:
            with marker.open("rb") as file:
                found = file.read(65).decode(errors="replace").strip()
                device = os.fstat(file.fileno()).st_dev
            if self._storage.stat().st_dev != device:
                return StorageSeen(None, why=f"{marker} lies on another device than {self._storage}")
            mounted = self._storage.is_mount()
        except FileNotFoundError:
            return StorageSeen(None, why=f"{marker} is not there: not mounted?")
        except OSError as error:
            return StorageSeen(None, why=f"{marker}: {error.strerror or error}")
        return StorageSeen(found, device, mounted)

    def room(self) -> Probe:
        """Raises Unreachable: it cannot be looked at."""
        try:
            found = os.statvfs(self._storage)
        except OSError as error:
            raise Unreachable(f"{self._storage}: {error.strerror or error}") from error
        free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        if free < min(ROOM, total // 50):  # a small one, in a lab, is full at 2 %
            return Probe(State.FAILED, f"{free >> 20} MiB are free")
        if found.f_files and found.f_favail < min(INODES, found.f_files // 50):
            return Probe(State.FAILED, f"{found.f_favail} inodes are free")
        return Probe(State.OK, f"{free >> 20} MiB are free")

    def write(self) -> Probe:
        """Write 4 KiB, have them on the disk, and read them back from there, as far as the kernel does that.

        Asked more often than each WRITE_EVERY it only looks whether it is read-only now.
        Raises Unreachable: there is no place to write yet, which Orthanc's unit makes; or no look at it.
        """
        try:
            read_only = os.statvfs(self._storage).f_flag & os.ST_RDONLY
        except OSError as error:
            raise Unreachable(f"{self._storage}: {error.strerror or error}") from error
        if read_only:
            self._wrote = None
            return Probe(State.FAILED, "it is read-only")
        if self._wrote is None or self._now() - self._wrote >= WRITE_EVERY:
            self._wrote = None
            found = self._try()
            if found.failed:
                return found
            self._wrote = self._now()
        return Probe(State.OK, "4 KiB were written and read")

    def _try(self) -> Probe:
        folder = self._storage / layout.STORAGE_SCRATCH
        block = os.urandom(BLOCK)
        try:
            _written(folder / self._node, block)
        except FileNotFoundError as error:
            raise Unreachable(f"{folder} is not there: Orthanc's unit makes it") from error
        except OSError as error:
            return Probe(State.FAILED, f"4 KiB cannot be written: {error.strerror or error}")
        except StepFailed as error:
            return Probe(State.FAILED, error.message)
        return Probe(State.OK, "4 KiB were written and read")


def _written(path: Path, block: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(handle, block, 0)
        os.fsync(handle)
        with contextlib.suppress(OSError):  # only a wish: the next read shall ask the disk
            os.posix_fadvise(handle, 0, BLOCK, os.POSIX_FADV_DONTNEED)
        if os.pread(handle, BLOCK, 0) != block:
            raise StepFailed("what was written is not what is read")
    finally:
        os.close(handle)
