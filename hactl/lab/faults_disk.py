"""Faults of a database node's data disk, and of etcd's: it takes nothing more, or is full."""

from __future__ import annotations

from typing import Final

from hactl.errors import Refused, UsageError
from hactl.lab.datadisk import ETCD, PLACE
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

FULL: Final = "100"
_STALLED: Final = ((PLACE, ""), (ETCD, "'s etcd"))
_FILL: Final = str(PLACE / "hactl-lab-fill")
# $1 the file, $2 the percentage that is in use afterwards. Blocks are taken, not written: that takes no time.
# The file system has fewer than it says for a file in one piece, hence the steps. Only a lab's disk is filled
_TAKE: Final = """
import os, sys
if os.major(os.stat(os.path.dirname(sys.argv[1])).st_dev) != 7:
    sys.exit("no loop device")
handle = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
size, step = os.fstat(handle).st_size, 1 << 30
while step >= 4096:
    disk = os.fstatvfs(handle)
    over = disk.f_bavail * disk.f_frsize - disk.f_blocks * disk.f_frsize * (100 - int(sys.argv[2])) // 100
    length = min(step, over // 4096 * 4096)
    if length <= 0:
        break
    try:
        os.posix_fallocate(handle, size, length)
        size += length
    except OSError:
        step //= 2
os.fsync(handle)
"""


def stall(lab: Lab, node: str) -> None:
    """Who writes or syncs waits, who reads what is there does not. Raises Refused: it has no data disk."""
    lab.machine(node).stall_disk()


def release(lab: Lab, node: str) -> None:
    """What waited is written now."""
    lab.machine(node).release_disk()


def stall_etcd(lab: Lab, node: str) -> None:
    """As `stall`, of the disk that etcd alone writes to. Raises Refused: it is no member of etcd."""
    lab.machine(node).stall_disk(ETCD)


def release_etcd(lab: Lab, node: str) -> None:
    lab.machine(node).release_disk(ETCD)


def fill(lab: Lab, node: str, percent: str = FULL) -> None:
    """So much of it is in use afterwards, whoever uses it.

    Raises:
        UsageError: `percent` is no whole number from 1 to 100.
        Refused: it has no data disk.

    """
    check_percent(percent)
    if not lab.machine(node).has_data_disk():
        raise Refused(f"{node} has no data disk of its own", hint="see stall-disk")
    take(lab, node, _FILL, percent)


def check_percent(percent: str) -> None:
    """Raises UsageError."""
    if not percent.isdigit() or not 1 <= int(percent) <= 100:
        raise UsageError(f"{percent!r} is no percentage", hint="a whole number from 1 to 100")


def take(lab: Lab, node: str, file: str, percent: str) -> None:
    """Fill the file system that `file` is on, by it. Raises StepFailed: that is not a lab's own disk."""
    lab.exec(node, ["/usr/bin/python3", "-c", _TAKE, file, percent])


def empty(lab: Lab, node: str, _percent: str = FULL) -> None:
    lab.exec(node, ["rm", "-f", _FILL])


def release_all(lab: Lab) -> list[str]:
    """What was done, as sentences."""
    found = ((f"{name}{more}", m, at) for name, m in lab.machines.items() for at, more in _STALLED)
    return [f"disk of {name} goes on" for name, machine, place in found if machine.release_disk(place)]


def empty_all(lab: Lab) -> list[str]:
    """On every machine that runs; what was done, as sentences."""
    on = [n for n, m in lab.machines.items() if m.power() is Power.ON and m.has_data_disk()]
    return [f"disk of {name} emptied" for name in on if lab.exec(name, ["rm", "-fv", _FILL]).out.strip()]
