"""One cgroup for each thing the lab runs: how it is started, frozen and killed, whatever this machine's init.

Where systemd is init, a scope is a transient service with a delegated cgroup, so that systemd knows whose it
is. Elsewhere it is a plain cgroup that we make. Either way `cgroup.kill` ends all of it at once, as a power
cut does, and a scope is found by its name alone: nothing needs to be remembered to clean up after a crash.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from hactl.adapters.command import run
from hactl.errors import StepFailed, Unreachable

CGROUPS: Final = Path("/sys/fs/cgroup")
POLL: Final = 0.02

# $1: file that takes what the program prints; then `--`, the cgroups to join, `--`, the program.
# The shell joins before it starts the program, so that no child of it can ever be outside.
_JOIN: Final = """
log=$1; shift 2
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done
shift
exec setsid --fork "$@" </dev/null >>"$log" 2>&1
"""


class Scopes(Protocol):
    """How this machine keeps scopes."""

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        """Start `argv` in a new scope, detached; it outlives us. Its output is appended to `log`."""

    def cgroup(self, name: str) -> Path | None:
        """The scope's folder in the cgroup v2 hierarchy; None when there is no such scope."""

    def names(self, prefix: str) -> list[str]:
        """All scopes whose names begin so, also those that have ended but left something behind."""

    def remove(self, name: str) -> None:
        """Kill everything in the scope and remove it; returns when it is gone. Absent: nothing to do."""


def scopes() -> Scopes:
    """What fits this machine."""
    return SystemdScopes() if Path("/run/systemd/system").is_dir() else PlainScopes(*hierarchies())


def hierarchies() -> tuple[Path, ...]:
    """Where a plain scope has a folder: the cgroup v2 hierarchy, then systemd's named one if it is mounted.

    Raises:
        Unreachable: no cgroup v2 is mounted.

    """
    for v2 in (CGROUPS, CGROUPS / "unified"):
        if (v2 / "cgroup.controllers").exists():
            named = CGROUPS / "systemd"
            return (v2, named) if (named / "cgroup.procs").exists() and named.parent != v2 else (v2,)
    raise Unreachable("no cgroup v2 hierarchy is mounted at /sys/fs/cgroup")


class PlainScopes:
    """Cgroups of our own, on a machine whose init is not systemd."""

    def __init__(self, unified: Path, *others: Path) -> None:
        self._roots = (unified, *others)

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        folders = [root / name for root in self._roots]
        for folder in folders:
            folder.mkdir(exist_ok=True)
        run(["sh", "-c", _JOIN, "join", str(log), "--", *map(str, folders), "--", *argv], within=10)

    def cgroup(self, name: str) -> Path | None:
        folder = self._roots[0] / name
        return folder if folder.is_dir() else None

    def names(self, prefix: str) -> list[str]:
        return sorted(
            {entry.name for root in self._roots for entry in root.glob(f"{prefix}*") if entry.is_dir()}
        )

    def remove(self, name: str) -> None:
        if folder := self.cgroup(name):
            kill(folder)
        for root in self._roots:
            _remove_tree(root / name)


class SystemdScopes:
    """Transient services, on a machine whose init is systemd."""

    def start(self, name: str, argv: Sequence[str], log: Path) -> None:
        self._forget(name)
        output = [f"StandardOutput=append:{log}", f"StandardError=append:{log}"]
        options = ["Delegate=yes", "KillMode=mixed", "TimeoutStopSec=10", *output]
        properties = [word for option in options for word in ("-p", option)]
        identity = [f"--unit={name}.service", f"--description=hactl lab: {name}"]
        run(["systemd-run", "--quiet", "--collect", *identity, *properties, "--", *argv], within=20)

    def cgroup(self, name: str) -> Path | None:
        shown = run(
            ["systemctl", "show", "-p", "ControlGroup", "--value", f"{name}.service"], within=10
        ).out.strip()
        folder = CGROUPS / shown.lstrip("/")
        return folder if shown.lstrip("/") and folder.is_dir() else None

    def names(self, prefix: str) -> list[str]:
        argv = ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--full", f"{prefix}*.service"]
        return sorted(
            line.split()[0].removesuffix(".service")
            for line in run(argv, within=10).out.splitlines()
            if line.strip()
        )

    def remove(self, name: str) -> None:
        if folder := self.cgroup(name):
            kill(folder)
        self._forget(name)

    def _forget(self, name: str) -> None:
        """Systemd keeps a failed unit's name; --collect frees it, but only after it has seen the end."""
        unit, end = f"{name}.service", time.monotonic() + 15
        while (
            run(["systemctl", "show", "-p", "LoadState", "--value", unit], within=10).out.strip()
            != "not-found"
        ):
            if time.monotonic() >= end:
                raise StepFailed(
                    f"systemd still holds {unit} 15 s after all of it was killed",
                    hint=f"systemctl status {unit}",
                )
            run(["systemctl", "reset-failed", unit], within=10, check=False)
            time.sleep(POLL)


def kill(folder: Path, within: float = 15) -> None:
    """End every process in a cgroup v2 folder, frozen ones too, and wait until the kernel says it is empty.

    Raises:
        StepFailed: something is still alive after `within` seconds (a process stuck in the kernel).

    """
    end = time.monotonic() + within
    while populated(folder):
        strike(folder)
        if time.monotonic() >= end:
            raise StepFailed(f"processes in {folder} did not end within {within:g} s of being killed")
        time.sleep(POLL)


def strike(folder: Path) -> None:
    """Have everything in a cgroup v2 folder die, without waiting for it."""
    with suppress(OSError):  # the folder went away: so did the processes
        (folder / "cgroup.kill").write_text("1")


def populated(folder: Path) -> bool:
    """Whether any process lives in a cgroup v2 folder or below; a missing folder has none."""
    return "populated 1" in _read(folder / "cgroup.events")


def freeze(folder: Path, *, frozen: bool, within: float = 10) -> None:
    """Stop, or let go on, everything in a cgroup v2 folder; returns when it is so.

    Raises:
        StepFailed: not within `within` seconds.

    """
    (folder / "cgroup.freeze").write_text("1" if frozen else "0")
    end = time.monotonic() + within
    while is_frozen(folder) != frozen:
        if time.monotonic() >= end:
            raise StepFailed(f"{folder} is not {'frozen' if frozen else 'thawed'} after {within:g} s")
        time.sleep(POLL)


def is_frozen(folder: Path) -> bool:
    return "frozen 1" in _read(folder / "cgroup.events")


def processes(folder: Path) -> list[int]:
    """The process ids in a cgroup v2 folder and below, as this machine counts them."""
    found: list[int] = []
    for path, _, _ in os.walk(folder):
        found += [int(word) for word in _read(Path(path) / "cgroup.procs").split()]
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:  # the cgroup went away while we looked
        return ""


def _remove_tree(folder: Path) -> None:
    """Remove an empty cgroup and those below. The kernel may hold it a moment after its last process."""
    end = time.monotonic() + 10
    while folder.is_dir():
        for path, _, _ in os.walk(folder, topdown=False):
            try:
                Path(path).rmdir()
            except OSError as error:
                if time.monotonic() >= end:
                    raise StepFailed(f"cannot remove the cgroup {path}: {error.strerror}") from error
        time.sleep(POLL)
