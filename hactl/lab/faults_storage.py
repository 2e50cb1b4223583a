"""Faults of the image storage on one archive machine: unmounted under the services, or another one there."""

from __future__ import annotations

from typing import Final

from hactl.errors import Refused
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


def unmount(lab: Lab, node: str) -> None:
    """Raises Refused: it is no archive node, or its storage is not mounted."""
    _run(lab, node, _UNMOUNT)


def swap(lab: Lab, node: str) -> None:
    """Another disk in its place. Raises as `unmount`."""
    _run(lab, node, _SWAP)


def mount(lab: Lab, node: str) -> None:
    """The right one again; nothing to do where it is."""
    _run(lab, node, _MOUNT)


def heal(lab: Lab) -> None:
    for node in lab.spec.archives:
        if lab.machine(node).power() is Power.ON:
            mount(lab, node)


def _run(lab: Lab, node: str, script: str) -> None:
    if node not in lab.spec.archives:
        raise Refused(f"{node} is no archive node")
    argv = ["sh", "-euc", script, "fault", lab.spec.archive.storage, _ASIDE]
    if lab.exec(node, argv, within=20, check=False).code != 0:
        raise Refused(f"the image storage of {node} is not mounted, or cannot be moved")
