"""Disks of a database and of etcd, stalled or filled alone, and the one that archive machines share.

It is an ext4 in a sparse file, on a loop device, mounted in the mount namespace that dies with the machine;
the device frees itself with its last mount. Only a file system that is frozen when its machine dies outlives
it: the kernel keeps it, and the device, until somebody thaws it. Devices are found by their file, nothing is
remembered, and their nodes are made beside it: a container's /dev has none. Who shares a disk mounts one and
the same device, so that to the kernel it is one file system.

`python datadisk.py FILE PLACE` mounts one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from hactl.adapters.command import run
from hactl.errors import StepFailed

PLACE: Final = PurePosixPath("/var/lib/postgresql")  # data folder, canary and kept data are in it
SIZE: Final = 12 * 1024**3  # bytes, sparse; what PostgreSQL may keep for a lost standby fits
ETCD: Final = PurePosixPath("/var/lib/etcd")
ETCD_SIZE: Final = 2 * 1024**3
# linux/loop.h and linux/fs.h. _INFO is struct loop_info64, which struct loop_config has behind two words.
_LOOP: Final = 7
_CONTROL: Final = os.makedev(10, 237)
_GET_FREE, _CONFIGURE, _STATUS = 0x4C82, 0x4C0A, 0x4C05
_AUTOCLEAR, _DIRECT_IO = 4, 16
_INFO: Final = struct.Struct("=5Q4I64s64s32s2Q")
_CONFIG: Final = struct.Struct(f"=2I{_INFO.size}s64x")
_FREEZE, _THAW = 0xC0045877, 0xC0045878
_BLOCKS: Final = Path("/sys/block")
_TRIES: Final = 50  # others take loop devices too
_POLL: Final = 0.05
_ALONE_WITHIN: Final = 30.0
_BY_ITSELF: Final = 1.0  # seconds in which a device whose machine has just died frees itself
# In a mount namespace of its own. Where the file system still exists, that is the very one, frozen as it was.
_MOUNT_AND_THAW: Final = 'mount -t ext4 "$1" "$2" && fsfreeze --unfreeze "$2"'


def make(file: Path, owner: tuple[int, int], size: int = SIZE) -> None:
    """An empty file system, its root owned by user and group `owner`; it appears whole or not at all."""
    new = file.with_name(f"{file.name}.new")
    with new.open("wb") as empty:
        empty.truncate(size)
    extended = f"root_owner={owner[0]}:{owner[1]},lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", extended, str(new)], within=60)
    new.replace(file)


def mount(file: Path, place: Path) -> None:
    """Mount it in the caller's mount namespace; another one may have it mounted already.

    Raises:
        StepFailed: no loop device can be had, or it cannot be mounted.

    """
    place.mkdir(mode=0o755, parents=True, exist_ok=True)
    with _alone(file), _nodes(file.parent) as nodes, _attached(file, nodes) as device:
        run(["mount", "-t", "ext4", "-o", "noatime", str(device), str(place)], within=60)


def devices(file: Path) -> list[int]:
    """Device numbers of the loop devices that hold `file` now."""
    if not file.exists():
        return []
    with _nodes(file.parent) as nodes:
        return [device for device in _configured() if _holds(nodes, device, file)]


def let_go(file: Path, within: float = 30.0) -> None:
    """Wait until no device holds the file of a machine that is off; thaw what was frozen when it died.

    Raises:
        StepFailed: something still uses it.

    """
    begin = time.monotonic()
    while held := devices(file):
        waited = time.monotonic() - begin
        if waited >= within:
            raise StepFailed(f"{file} is still in use, {within:g} s after its machine died")
        if waited >= _BY_ITSELF:
            _thaw_orphan(file, held[0])
        time.sleep(_POLL)


@contextmanager
def reached(pids: Iterable[int], root: Path, place: PurePosixPath = PLACE) -> Iterator[int | None]:
    """A handle on the disk mounted at `place` of a machine whose processes are `pids`; None: it has none.

    `root`: where the machine's disk is mounted, as its outermost process sees it. Reading does not wait for a
    stalled disk. The handle keeps the mount busy, so it is closed at the block's end. Who closes the last one
    of a machine that died writes back what is not on the disk yet: nobody waits for that but `let_go`.
    """
    handle = next(filter(None, (_open(Path(f"/proc/{pid}/root{root}{place}")) for pid in pids)), None)
    try:
        yield handle
    finally:
        if handle is not None:
            threading.Thread(target=os.close, args=(handle,), name="close data disk").start()


def freeze(handle: int) -> None:
    """What is written from now on waits, and so does whoever wrote it. Frozen already: nothing to do."""
    try:
        fcntl.ioctl(handle, _FREEZE, 0)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise


def thaw(handle: int) -> bool:
    """Let it go on; whether it was frozen."""
    try:
        fcntl.ioctl(handle, _THAW, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return False
    return True


def _open(path: Path) -> int | None:
    """None unless a loop device's file system is mounted there."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    if os.major(os.fstat(handle).st_dev) == _LOOP:
        return handle
    os.close(handle)
    return None


def _thaw_orphan(file: Path, device: int) -> None:
    """Raises nothing when it is not frozen, or gone by now: the caller looks again."""
    with _nodes(file.parent) as nodes:
        place = nodes / "place"
        place.mkdir()
        argv = ["sh", "-c", _MOUNT_AND_THAW, "thaw", str(_node(nodes, device)), str(place)]
        run(["unshare", "--mount", "--propagation", "private", "--", *argv], within=20, check=False)


@contextmanager
def _nodes(folder: Path) -> Iterator[Path]:
    """A folder for device nodes, gone at the end."""
    with tempfile.TemporaryDirectory(prefix=".nodes.", dir=folder) as made:
        yield Path(made)


def _node(nodes: Path, device: int, kind: int = stat.S_IFBLK) -> Path:
    path = nodes / f"{os.major(device)}-{os.minor(device)}"
    if not path.exists():
        os.mknod(path, kind | 0o600, device)
    return path


def _configured() -> list[int]:
    """Device numbers of the loop devices that have a file."""
    names = [entry.name for entry in _BLOCKS.glob("loop*") if (entry / "loop").is_dir()]
    return [number for name in names if (number := _number(name)) is not None]


def _number(name: str) -> int | None:
    try:
        major, minor = (_BLOCKS / name / "dev").read_text(encoding="ascii").strip().split(":")
    except OSError:  # it went away while we looked
        return None
    return os.makedev(int(major), int(minor))


def _holds(nodes: Path, device: int, file: Path) -> bool:
    """Whether it is this file, not one of the same name: another container's devices are seen here too."""
    mine, status = file.stat(), bytearray(_INFO.size)
    try:
        handle = os.open(_node(nodes, device), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.ioctl(handle, _STATUS, status)
    except OSError:
        return False
    finally:
        os.close(handle)
    fields = _INFO.unpack(status)
    return (fields[0], fields[1]) == (mine.st_dev, mine.st_ino)


@contextmanager
def _attached(file: Path, nodes: Path) -> Iterator[Path]:
    """A loop device's node. The device goes at the block's end, or with the last mount if that is later."""
    found = _in_use(file, nodes)
    try:
        if found is None:
            with file.open("r+b") as backing:
                found = _configure(backing.fileno(), nodes)
    except OSError as error:
        raise StepFailed(f"no loop device for {file}: {error.strerror or error}") from error
    handle, node = found
    try:
        yield node
    finally:
        os.close(handle)


def _in_use(file: Path, nodes: Path) -> tuple[int, Path] | None:
    """The device that another machine has the file on, which does not go before the handle is closed."""
    for device in _configured():
        if not _holds(nodes, device, file):
            continue
        with contextlib.suppress(OSError):  # its last mount has gone this moment
            handle = os.open(_node(nodes, device), os.O_RDONLY | os.O_CLOEXEC)
            if _holds(nodes, device, file):
                return handle, _node(nodes, device)
            os.close(handle)
    return None


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Two devices of one file would be two file systems in one place. Raises StepFailed: not in time."""
    end = time.monotonic() + _ALONE_WITHIN
    with file.open("rb") as handle:
        while True:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() >= end:
                raise StepFailed(f"another machine has been mounting {file} for {_ALONE_WITHIN:g} s")
            time.sleep(_POLL)
        yield


def _configure(backing: int, nodes: Path) -> tuple[int, Path]:
    """Raises OSError."""
    flags = _AUTOCLEAR | _DIRECT_IO  # pages of the file are cached once, above
    info = _INFO.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, b"hactl", b"", b"", 0, 0)
    control = os.open(_node(nodes, _CONTROL, stat.S_IFCHR), os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(_TRIES):
            number = _number(f"loop{fcntl.ioctl(control, _GET_FREE)}")
            if number is None:
                continue
            handle = os.open(_node(nodes, number), os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.ioctl(handle, _CONFIGURE, _CONFIG.pack(backing, 0, info))
            except OSError as error:
                os.close(handle)
                if error.errno != errno.EBUSY:
                    raise
                continue
            return handle, _node(nodes, number)
    finally:
        os.close(control)
    raise OSError(errno.EBUSY, "others take each one that is free")


if __name__ == "__main__":
    mount(Path(sys.argv[1]), Path(sys.argv[2]))
