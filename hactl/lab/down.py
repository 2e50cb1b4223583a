"""Removes a lab, whatever state a crash left it in: all of it is found by name, nothing is remembered."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hactl.adapters.command import run
from hactl.errors import StepFailed
from hactl.lab import datadisk, folder, image, machine, netns, network, preflight, scope
from hactl.lab.lock import held
from hactl.lab.topology import prefix

_MOUNTS: Final = Path("/proc/self/mounts")
_WITHIN: Final = 60.0
_SETTLE: Final = 0.15  # seconds; longer than any single `ip` or `mkdir` of a killed `lab up` takes


def down(name: str, say: Callable[[str], None]) -> bool:
    """Remove the lab `name`; whether there was anything to remove.

    Raises:
        LockHeld: a `lab up` is at work on it (end that first).
        StepFailed: something could not be removed; all of it is listed.

    """
    place = folder.folder_of(name)
    existed = bool(leftovers(name))
    with held(place.path, f"the lab {name}", wait=5):
        say("power off")
        _until_gone(name)
        image.clear_abandoned()
        say("files")
        remove(place.path)
    _forget_netns_folder()
    if folder.LABS.is_dir() and not any(folder.LABS.iterdir()):
        folder.LABS.rmdir()
    return existed


def leftovers(name: str) -> list[str]:
    """Everything of the lab that exists on this machine now, outside its folder and the folder itself."""
    place, begin = folder.folder_of(name), prefix(name)
    found = [f"scope {s}" for s in scope.scopes().names(begin)]
    found += [f"network namespace {n}" for n in netns.names(begin)]
    found += [f"mount {m}" for m in mounts_below(place.path)]
    found += [f"file {f}" for f in preflight.left_folders(name)]
    found += [f"loop device of {f}" for f in data_disks(place.path) if datadisk.devices(f)]
    found += [f"nspawn folder {n}" for n in machine.runtime_names(begin)]
    return found + ([f"folder {place.path}"] if place.path.exists() else [])


def data_disks(path: Path) -> list[Path]:
    own = (path.glob(f"machines/*/{name}.img") for name in ("data", "etcd"))
    return [*sorted(file for files in own for file in files), *path.glob("images.img")]


def mounts_below(path: Path) -> list[str]:
    """Mount points at or below `path`, deepest first. A lab makes none that outlive a machine; a user may."""
    lines = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    points = [line.split()[1].encode().decode("unicode_escape") for line in lines]
    return sorted((p for p in points if Path(p).is_relative_to(path)), key=len, reverse=True)


def remove(path: Path) -> None:
    """Delete a folder, never across a mount."""
    if path.exists():
        run(["rm", "-rf", "--one-file-system", "--", str(path)], within=300)


def _until_gone(name: str) -> None:
    """Again until twice nothing is found: a child of a killed `lab up` may make something still."""
    end = time.monotonic() + _WITHIN
    for _ in range(2):
        while left := [item for item in leftovers(name) if not item.startswith("folder ")]:
            if time.monotonic() >= end:
                raise StepFailed(
                    f"the lab {name} is not gone: {'; '.join(left)}", hint=f"hactl lab down --name {name}"
                )
            _sweep(name)
        time.sleep(_SETTLE)


def _sweep(name: str) -> None:
    begin, where = prefix(name), scope.scopes()
    # First the switch and with it all cables: no machine is heard saying good-bye.
    # Then the BMCs, or one of them boots its machine again.
    network.remove_namespace(begin + "switch")
    place = folder.folder_of(name)
    for one in sorted(where.names(begin), key=lambda n: not n.startswith(f"{begin}bmc-")):
        machine.extinguish(where, one, place.machine(one.removeprefix(begin)))
    for disk in data_disks(place.path):
        datadisk.let_go(disk)
    for space in netns.names(begin):
        network.remove_namespace(space)
    for point in mounts_below(place.path):
        run(["umount", "--lazy", point], within=20)
    for one in machine.runtime_names(begin):
        machine.clear_runtime(one)
    for left in preflight.left_folders(name):
        remove(left)


def _forget_netns_folder() -> None:
    """`ip netns add` mounts /run/netns on itself, for ever. Undone when nobody uses it."""
    if netns.RUN.is_dir() and not any(netns.RUN.iterdir()):
        run(["umount", str(netns.RUN)], within=10, check=False)
        netns.RUN.rmdir()
