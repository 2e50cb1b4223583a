"""The processes of a systemd unit, read from its cgroup and /proc: no program is started for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hactl.adapters.command import run
from hactl.adapters.small_files import read_file
from hactl.errors import Unreachable
from hactl.units import Bytes
from hactl.view.model import Disk

CGROUPS = Path("/sys/fs/cgroup/system.slice")


@dataclass(frozen=True)
class Process:
    """`state` is the kernel's letter: R, S, D, T (stopped by a signal), Z (dead, not yet fetched), ..."""

    pid: int
    name: str
    state: str


@dataclass(frozen=True)
class UnitProcesses:
    """`frozen`: the whole cgroup was."""

    processes: tuple[Process, ...]
    frozen: bool = False


class Processes:
    def __init__(self, cgroups: Path = CGROUPS, proc: Path = Path("/proc")) -> None:
        self._cgroups, self._proc = cgroups, proc

    def of(self, unit: str) -> UnitProcesses:
        """A unit without a cgroup has no processes. Those that are dead already are left out.

        Raises Unreachable: this machine has no such cgroups at all, so nobody knows.
        """
        if not self._cgroups.is_dir():
            raise Unreachable(f"there is no {self._cgroups}: are the control groups of version 2?")
        folder = self._cgroups / unit
        pids: list[str] = []
        for path in sorted(folder.rglob("cgroup.procs")) if folder.is_dir() else ():
            pids += (read_file(path) or "").split()
        found = [self._process(pid) for pid in dict.fromkeys(pids)]
        frozen = "frozen 1" in (read_file(folder / "cgroup.events") or "")
        return UnitProcesses(tuple(p for p in found if p is not None and p.state not in "ZX"), frozen)

    def _process(self, pid: str) -> Process | None:
        stat = read_file(self._proc / pid / "stat")
        if not stat or ")" not in stat:
            return None
        name = stat[stat.index("(") + 1 : stat.rindex(")")]
        return Process(int(pid), name, stat[stat.rindex(")") + 2 :][:1])


def unit_states(units: Sequence[str]) -> dict[str, str]:
    """What systemd says of each: active, inactive, failed, activating, ... Raises Unreachable."""
    done = run(["/usr/bin/systemctl", "is-active", *units], within=5.0, check=False)
    words = done.out.split()
    if len(words) != len(units):
        raise Unreachable(f"systemctl is-active does not answer for each unit: {done.err.strip()}")
    return dict(zip(units, words, strict=True))


def disk(path: str) -> Disk:
    """Raises Unreachable. A dead mount holds the caller."""
    try:
        found = os.statvfs(path)
    except OSError as error:
        raise Unreachable(f"{path}: {error.strerror or error}") from error
    return Disk(path, Bytes(found.f_bavail * found.f_frsize), Bytes(found.f_blocks * found.f_frsize))


def boot_mark() -> str:
    """Another text after each boot. Containers share their host's boot id, but not their first process."""
    boot = (read_file(Path("/proc/sys/kernel/random/boot_id")) or "unknown").strip()
    stat = read_file(Path("/proc/1/stat")) or ""
    started = stat[stat.rindex(")") + 2 :].split()[19] if ")" in stat else "0"
    return f"{boot}/{started}"
