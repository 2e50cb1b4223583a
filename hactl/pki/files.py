"""Files that hold secrets: written whole or not at all, and refused when others may read them."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hactl.errors import LockHeld, Refused

PRIVATE: Final = 0o600
PUBLIC: Final = 0o644
FOLDER: Final = 0o700
_UNFINISHED: Final = ".tmp-"  # .NAME.tmp-1a2b3c4d: a write that a crash cut short


def ensure_folder(path: Path) -> None:
    """Make `path` with mode 0700 if it is not there. One that is there stays as it is: it may be a home.

    Raises:
        Refused: the file system says no.

    """
    if path.is_dir():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=FOLDER)
        path.chmod(FOLDER)  # whatever the umask is
        sync_folder(path.parent)
    except OSError as error:
        raise Refused(f"{path} cannot be made: {error.strerror}") from error


def check_folder(path: Path) -> None:
    """Raises Refused unless `path` is a folder that nobody else may enter."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}", hint="hactl pki init") from error
    if not stat.S_ISDIR(mode):
        raise Refused(f"{path} is not a folder")
    _refuse_open(path, mode, FOLDER)


def check_target(path: Path) -> None:
    """Make the folder if it is not there. Raises Refused when others may put files or links into it."""
    ensure_folder(path)
    found = path.stat()
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise Refused(
            f"{path} belongs to another account, or others may write into it",
            hint="name a folder of your own, or a new one",
        )


def _refuse_open(path: Path, mode: int, wanted: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise Refused(
            f"{path} is open to others (mode {stat.S_IMODE(mode):04o}); what lies there may be known to them",
            hint=f"chmod {wanted:04o} {path}, and think about who may have read it",
        )


def read_private(path: Path) -> bytes:
    """The content of a key or secrets file. No symbolic link is followed: it might lead anywhere.

    Raises:
        Refused: it is missing, not a plain file, or others have any right to it.

    """
    try:
        # O_NONBLOCK: a pipe somebody put there must not make us wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}", hint="hactl pki init") from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise Refused(f"{path} is not a plain file")
        _refuse_open(path, mode, PRIVATE)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def read_public(path: Path) -> bytes | None:
    """The content of a certificate file, or None without one. Raises Refused when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from error


def write(path: Path, content: bytes, mode: int) -> None:
    """Replace `path` in one step that survives a power cut: data first, then the name, then the folder.

    Raises:
        Refused: the file system says no (full, read-only, not ours).

    """
    scratch = path.with_name(f".{path.name}{_UNFINISHED}{secrets.token_hex(4)}")
    try:
        _write_new(scratch, content, mode)
        scratch.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            scratch.unlink()
        raise Refused(f"{path} cannot be written: {error.strerror}") from error


def _write_new(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # exactly this mode, whatever the umask is
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move(source: Path, target: Path) -> None:
    """Rename for good: `target` is replaced, and the folder knows it even after a power cut."""
    source.replace(target)
    sync_folder(target.parent)


def sweep(root: Path, *below: str, name: str = "") -> None:
    """Remove what interrupted writes left in `root` and all of the folders `below` it; only of `name`.

    Only under the lock that their writers take: a live write looks the same.
    """
    pattern = f".{name}*{_UNFINISHED}*"
    for scratch in (*root.glob(pattern), *(p for name in below for p in (root / name).rglob(pattern))):
        scratch.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One writer at a time. The kernel frees the lock when the process ends, however it ends.

    Raises:
        LockHeld: another process has it.
        Refused: the folder is not ours to write.

    """
    try:
        descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise Refused(f"{folder} cannot be written: {error.strerror}") from error
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LockHeld(f"another hactl is changing {folder}", hint="wait until it is done") from error
