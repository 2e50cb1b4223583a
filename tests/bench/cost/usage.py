"""What the programs on the lab's machines use, read from outside: nothing runs in a machine for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from hactl.lab.lab import Lab

# etcd and Patroni too: hactl asks more of them.
UNITS: Final = ("hactl-agent", "hactl-controller", "etcd", "patroni", "keepalived")
# Programs of their own; the others' memory is not hactl's.
MEMORY_OF: Final = frozenset({"hactl-agent", "hactl-controller"})

# node -> unit -> seconds of processor time since it was started, and MiB now
Spent = dict[str, dict[str, tuple[float, float]]]


def spent(lab: Lab) -> Spent:
    """A unit's control group counts what ended children used, too."""
    return {
        node: {unit: (cpu(group), memory(group) if unit in MEMORY_OF else 0.0) for unit, group in mine}
        for node in lab.nodes
        if (mine := _groups(lab, node))
    }


def between(before: Spent, after: Spent, seconds: float) -> dict[str, dict[str, dict[str, Any]]]:
    """Cores and MiB of each unit that ran at both times without a restart."""
    return {
        node: {
            unit: {"cores": round((cpu_now - before[node][unit][0]) / seconds, 4), "mib": round(mib, 1)}
            for unit, (cpu_now, mib) in units.items()
            if unit in before.get(node, {}) and cpu_now >= before[node][unit][0]
        }
        for node, units in after.items()
    }


def _groups(lab: Lab, node: str) -> list[tuple[str, Path]]:
    scope = lab.scopes.cgroup(lab.machine(node).machine.scope)
    if scope is None:
        return []
    found = [(unit, scope / "payload" / "system.slice" / f"{unit}.service") for unit in UNITS]
    return [(unit, group) for unit, group in found if group.is_dir()]


def cpu(group: Path) -> float:
    """Seconds; 0 when the unit has just ended."""
    try:
        lines = (group / "cpu.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("usage_usec")), 0.0)


def memory(group: Path) -> float:
    """MiB: what its processes have alone, and their share of what they share."""
    found = 0.0
    for pid in _processes(group):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:  # it has ended
            continue
        found += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return found


def _processes(group: Path) -> list[str]:
    try:
        return (group / "cgroup.procs").read_text(encoding="ascii").split()
    except OSError:
        return []
