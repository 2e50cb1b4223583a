"""Faults of the image storage: unmounted under the services, another one there, read-only, or full.

All archive machines have the one file system mounted: what fills it fills it for all of them. The rest is one
machine's alone.
"""

from __future__ import annotations

from typing import Final

from hactl.errors import Refused, StepFailed
from hactl.lab import faults_disk
from hactl.lab.lab import Lab
from hactl.lab.machine import Power

_ASIDE: Final = "/run/hactl-lab-storage"
# $1 the storage, $2 where it is kept meanwhile. Lazily: whoever has files open there keeps them.
_UNMOUNT: Final = """
mountpoint -q "$1" || exit 3
mkdir -p "$2"
mountpoint -q "$2" || mount --bind "$1" "$2"
umount --lazy "$1"
"""
# A disk with this installation's marker and none of its images.
_SWAP: Final = """
mountpoint -q "$1" || exit 3
mkdir -p "$2"
mountpoint -q "$2" || mount --bind "$1" "$2"
umount --lazy "$1"
mount -t tmpfs -o mode=0711 tmpfs "$1"
chown orthanc:orthanc "$1"
cp "$2/.hactl-storage" "$1/"
"""
_MOUNT: Final = """
mountpoint -q "$2" || exit 0
if mountpoint -q "$1"; then umount --lazy "$1"; fi
mount --bind "$2" "$1"
umount --lazy "$2"
"""
# $3 ro or rw, for each view of it: a service's own mount namespace has its own. Who is just writing a file
# keeps it from becoming read-only for a moment.
_REMOUNT: Final = """
mountpoint -q "$1" || [ "$3" = rw ] || exit 3
seen=
for process in /proc/[0-9]*; do
    view=$(readlink "$process/ns/mnt") || continue
    case "$seen" in *"$view"*) continue;; esac
    inside="nsenter --target ${process#/proc/} --mount"
    $inside mountpoint -q "$1" || { [ ! -e "$process/exe" ] || seen="$seen $view"; continue; }
    tries=0  # a process may end meanwhile: others have the same view
    until $inside mount -o "remount,bind,$3" "$1"; do
        tries=$((tries + 1))
        [ -e "$process/exe" ] || continue 2
        [ "$tries" -lt 100 ] || exit 4
        sleep 0.05
    done
    seen="$seen $view"
done
"""
_FILL: Final = ".hactl-lab-fill"


def unmount(lab: Lab, node: str) -> None:
    """Raises Refused: it is no archive node, or its storage is not mounted."""
    _run(lab, node, _UNMOUNT)


def swap(lab: Lab, node: str) -> None:
    """Another disk in its place. Raises as `unmount`."""
    _run(lab, node, _SWAP)


def mount(lab: Lab, node: str) -> None:
    """The right one again; nothing to do where it is."""
    _run(lab, node, _MOUNT)


def read_only(lab: Lab, node: str) -> None:
    """The machine may read it, and nothing else. Raises as `unmount`."""
    _run(lab, node, _REMOUNT, "ro")


def writable(lab: Lab, node: str) -> None:
    _run(lab, node, _REMOUNT, "rw")


def fill(lab: Lab, node: str, percent: str = faults_disk.FULL) -> None:
    """So much of it is in use afterwards, for all archive machines.

    Raises:
        UsageError: `percent` is no whole number from 1 to 100.
        Refused: it is no archive node, or an older hactl's lab, whose storage is a folder.

    """
    faults_disk.check_percent(percent)
    _archive(lab, node)
    try:
        faults_disk.take(lab, node, f"{lab.spec.archive.storage}/{_FILL}", percent)
    except StepFailed as error:
        raise Refused(f"the image storage of {node} is no disk of its own, or not mounted") from error


def empty(lab: Lab, node: str, _percent: str = faults_disk.FULL) -> None:
    lab.exec(node, ["rm", "-f", f"{lab.spec.archive.storage}/{_FILL}"])


def heal(lab: Lab) -> None:
    for node in lab.spec.archives:
        if lab.machine(node).power() is Power.ON:
            mount(lab, node)
            writable(lab, node)
            empty(lab, node)


def _archive(lab: Lab, node: str) -> None:
    if node not in lab.spec.archives:
        raise Refused(f"{node} is no archive node")


def _run(lab: Lab, node: str, script: str, *words: str) -> None:
    _archive(lab, node)
    argv = ["sh", "-euc", script, "fault", lab.spec.archive.storage, _ASIDE, *words]
    done = lab.exec(node, argv, within=20, check=False)
    if done.code != 0:
        said = done.err.strip() or f"code {done.code}"
        raise Refused(f"the image storage of {node} is not mounted, or cannot be moved: {said}")
