"""One machine of the lab: power, freezing, cables, and running something in it.

A machine is a full system booted by systemd-nspawn from an overlay, in its own scope and network namespace.
"""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from hactl.adapters.command import BASE_ENV, Result, run
from hactl.errors import Refused, Unreachable
from hactl.lab import datadisk, netns, network, scope
from hactl.lab.folder import LabFolder, MachineFolder
from hactl.lab.lock import held
from hactl.lab.topology import Machine

# $1 image, $2 upper, $3 work, $4 root: the disk is mounted where only this machine sees it. $5 its namespace,
# $6 what gives that its addresses: systemd-nspawn ends with 133 when the machine asks for a reboot, and like
# any other it comes up without packet filter and with its own addresses only. $7 the switch, $8 the ports: a
# machine that was shut down from inside must not go on answering for its addresses, so its cables go with it.
# Then the Python and its program that mount further disks; up to "--", each one's file and where it goes. No
# braces: to systemd, which starts this on many machines, they are variables of its own.
_RUN: Final = """
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$3" "$4" || exit 1
netns=$5 addresses=$6 switch=$7 ports=$8 python=$9
shift 9
mounter=$1
shift
while [ "$1" != -- ]; do
    "$python" -P "$mounter" "$1" "$2" || exit 1
    shift 2
done
shift
while "$@"; [ $? = 133 ]; do
    nsenter --net="/run/netns/$netns" nft flush ruleset
    printf '%s' "$addresses" | ip -n "$netns" -batch -
done
for port in $ports; do ip -n "$switch" link delete "$port"; done
"""
# systemd-nspawn's own folder for each container; it has no other that outlives one.
_NSPAWN_RUNTIME: Final = Path("/run/systemd/nspawn/propagate")


class Power(enum.StrEnum):
    ON = "on"
    OFF = "off"
    FROZEN = "frozen"


@dataclass(frozen=True)
class LabMachine:
    """A machine, and what is needed to act on it."""

    machine: Machine
    folder: LabFolder
    switch: str
    image: Path
    storage: str
    scopes: scope.Scopes

    @property
    def name(self) -> str:
        return self.machine.name

    def power(self) -> Power:
        cgroup = self.scopes.cgroup(self.machine.scope)
        if cgroup is None or not scope.populated(cgroup):
            return Power.OFF
        return Power.FROZEN if scope.is_frozen(cgroup) else Power.ON

    def power_on(self) -> None:
        """Boot unless it is on. Returns when it was switched on; systemd in it needs some seconds more."""
        with held(self.folder.machine(self.name).path, f"machine {self.name}", wait=30):
            if self.power() is Power.OFF:
                self._clear()
                for file, _ in disks(self.folder.machine(self.name)):
                    datadisk.let_go(file)
                network.create(self.machine, self.switch)
                self.scopes.start(self.machine.scope, self._argv(), self.folder.machine(self.name).log)

    def power_off(self) -> None:
        """Cut the power: from one moment to the next nothing is sent, then nothing runs. The disk stays."""
        with held(self.folder.machine(self.name).path, f"machine {self.name}", wait=30):
            # First the cable: a killed process's connections would otherwise be closed politely.
            if self.machine.cables[0].port in network.ports(self.switch):
                network.unplug(self.machine, self.switch)
            self._clear()

    def freeze(self) -> None:
        scope.freeze(self._running(), frozen=True)

    def thaw(self) -> None:
        scope.freeze(self._running(), frozen=False)

    def stall_disk(self, place: PurePosixPath = datadisk.PLACE) -> None:
        """What is written to that disk waits from now on; who reads goes on. Raises Refused: no disk."""
        root = self.folder.machine(self.name).root
        with datadisk.reached(scope.processes(self._running()), root, place) as handle:
            if handle is None:
                hint = "databases and etcd have one, in labs made since there are such disks"
                raise Refused(f"{self.name} has no disk of its own at {place}", hint=hint)
            datadisk.freeze(handle)

    def has_data_disk(self) -> bool:
        """Whether it runs with one."""
        with datadisk.reached(self._pids(), self.folder.machine(self.name).root) as handle:
            return handle is not None

    def release_disk(self, place: PurePosixPath = datadisk.PLACE) -> bool:
        """Let it go on; whether it was stalled. A machine that is off has nothing that waits."""
        with datadisk.reached(self._pids(), self.folder.machine(self.name).root, place) as handle:
            return handle is not None and datadisk.thaw(handle)

    def isolate(self) -> None:
        """Pull its cables out of the switch, the management one too. Its BMC keeps its own."""
        self._running()
        network.unplug(self.machine, self.switch)

    def join(self) -> None:
        self._running()
        network.plug(self.machine, self.switch)

    def isolated(self) -> bool:
        return network.unplugged(self.machine, self.switch)

    def init(self) -> int:
        """The process id, as this machine counts, of the machine's own process 1.

        Raises:
            Unreachable: it is off, or has not come so far.

        """
        cgroup = self.scopes.cgroup(self.machine.scope)
        for pid in scope.processes(cgroup) if cgroup else []:
            if _own_pid(pid) == 1:
                return pid
        raise Unreachable(f"{self.name} is off", hint=f"hactl lab fault power-on {self.name}")

    def exec_argv(self, argv: Sequence[str]) -> list[str]:
        """What runs `argv` as root inside the machine, even when its network is cut."""
        terminal = f"TERM={os.environ.get('TERM', 'dumb')}"
        clean = ["env", "-i", "HOME=/root", "LANG=C.UTF-8", f"PATH={BASE_ENV['PATH']}", terminal]
        return ["nsenter", "-t", str(self.init()), "-m", "-u", "-i", "-n", "-p", "-C", "--", *clean, *argv]

    def exec(
        self, argv: Sequence[str], *, within: float, check: bool = True, stdin: str | None = None
    ) -> Result:
        """Raises StepFailed on another exit code than 0 if `check`, Unreachable when off or too slow."""
        return run(self.exec_argv(argv), within=within, check=check, stdin=stdin)

    def _running(self) -> Path:
        cgroup = self.scopes.cgroup(self.machine.scope)
        if cgroup is None or not scope.populated(cgroup):
            raise Refused(f"{self.name} is off", hint=f"hactl lab fault power-on {self.name}")
        return cgroup

    def _pids(self) -> list[int]:
        cgroup = self.scopes.cgroup(self.machine.scope)
        return scope.processes(cgroup) if cgroup else []

    def _clear(self) -> None:
        extinguish(self.scopes, self.machine.scope, self.folder.machine(self.name))
        network.destroy(self.machine, self.switch)
        clear_runtime(self.machine.scope)

    def _argv(self) -> list[str]:
        disk = self.folder.machine(self.name)
        ports = " ".join(c.port for c in self.machine.cables)
        bind, mounts = self._storage()
        for file, place in disks(disk):
            mounts += [str(file), f"{disk.root}{place}"]
        return [
            # Slave: when a namespace in /run/netns is unmounted outside, this copy of it must not hold it.
            "unshare", "--mount", "--propagation", "slave", "--",
            "sh", "-c", _RUN, "run", str(self.image), str(disk.upper), str(disk.work), str(disk.root),
            self.machine.netns, network.reset_text(self.machine.cables), self.switch, ports,
            sys.executable, datadisk.__file__, *mounts, "--",
            "env", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "SYSTEMD_SECCOMP=0", "SYSTEMD_NSPAWN_LOCK=0",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE=network",
            "systemd-nspawn", "--quiet", "--boot", f"--directory={disk.root}",
            f"--machine={self.machine.scope}", f"--hostname={self.name}",
            "--register=no", "--keep-unit", "--console=pipe",
            # All of a machine's rights but those over this machine's kernel and clock.
            "--capability=all", "--drop-capability=CAP_SYS_TIME,CAP_SYS_MODULE,CAP_SYS_RAWIO",
            f"--network-namespace-path={netns.RUN / self.machine.netns}", *bind,
            "--link-journal=no", "--resolv-conf=off", "--timezone=off",
        ]  # fmt: skip

    def _storage(self) -> tuple[list[str], list[str]]:
        """An archive machine's image storage: what systemd-nspawn binds, and a disk with its place."""
        if not self.machine.archive:
            return [], []
        if self.folder.images.exists():
            return [], [str(self.folder.images), f"{self.folder.machine(self.name).root}{self.storage}"]
        return [f"--bind={self.folder.storage}:{self.storage}"], []


def disks(of: MachineFolder) -> list[tuple[Path, PurePosixPath]]:
    """Those that a machine has for itself, each with the place where it is mounted in it."""
    found = ((of.data, datadisk.PLACE), (of.etcd, datadisk.ETCD))
    return [(file, place) for file, place in found if file.exists()]


def extinguish(where: scope.Scopes, name: str, disk: MachineFolder) -> None:
    """End all that a machine's scope holds, at once, and the scope.

    A process that waits for a stalled disk does not die before the disk goes on; it comes no further then. A
    dying machine does not write back its disks, its power is off: the handles are held until all is dead.
    """
    with ExitStack() as until_dead:
        if cgroup := where.cgroup(name):
            pids = scope.processes(cgroup)
            mounted = [datadisk.reached(pids, disk.root, place) for _, place in disks(disk)]
            handles = [until_dead.enter_context(each) for each in mounted]
            scope.strike(cgroup)
            for handle in handles:
                if handle is not None:
                    datadisk.thaw(handle)
        where.remove(name)


def runtime_names(prefix: str) -> list[str]:
    """Machines that systemd-nspawn keeps a folder for in /run."""
    return sorted(entry.name for entry in _NSPAWN_RUNTIME.glob(f"{prefix}*"))


def clear_runtime(name: str) -> None:
    """systemd-nspawn removes its folder in /run when a machine shuts down, not when its power is cut."""
    for folder in (_NSPAWN_RUNTIME / name, _NSPAWN_RUNTIME, _NSPAWN_RUNTIME.parent):
        try:
            folder.rmdir()
        except OSError:  # absent, or another container's
            return


def _own_pid(pid: int) -> int:
    """A process's id in its innermost pid namespace; 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[-1]) for line in lines if line.startswith("NSpid:")), 0)
