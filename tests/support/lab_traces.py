"""What a lab leaves on a machine while it is there, looked for from outside, without hactl's own eyes."""

from __future__ import annotations

import os
from pathlib import Path


def traces(name: str) -> list[str]:
    """Namespaces, mounts, cgroups, processes, loop devices and files of a lab, one line each; sorted."""
    found = [*_namespaces(name), *_mounts(name), *_cgroups(name), *_processes(name), *_files(name)]
    return sorted([*found, *_loop_devices(name)])


def links() -> set[str]:
    """This machine's own network interfaces: a lab adds none."""
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def _mark(name: str) -> str:
    return f"hactl-lab.{name}."


def _namespaces(name: str) -> list[str]:
    folder = Path("/run/netns")
    return [f"netns {e.name}" for e in folder.iterdir() if _mark(name) in e.name] if folder.is_dir() else []


def _mounts(name: str) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [
        f"mount {line.split()[4]}" for line in lines if _mark(name) in line or f"/hactl-lab/{name}" in line
    ]


def _cgroups(name: str) -> list[str]:
    return [
        f"cgroup {Path(path) / folder}"
        for path, folders, _ in os.walk("/sys/fs/cgroup")
        for folder in folders
        if _mark(name) in folder
    ]


def _processes(name: str) -> list[str]:
    """Processes in one of the lab's cgroups, or that name it in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            where = (folder / "cgroup").read_text(encoding="utf-8")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            state = (
                (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
            )
        except OSError:  # it has ended
            continue
        if state in "ZX":  # it has ended too; this machine's init will take note in its own time
            continue
        if _mark(name) in where or _mark(name) in command or f"/hactl-lab/{name}" in command:
            found.append(f"process {folder.name} {command[:80]}")
    return found


def _loop_devices(name: str) -> list[str]:
    """Another container's lab of the same name looks the same here: the tests' names are theirs alone."""
    files = [file for file in Path("/sys/block").glob("loop*/loop/backing_file") if file.exists()]
    return [
        f"loop {file.parts[3]}" for file in files if f"/hactl-lab/{name}/" in file.read_text(encoding="utf-8")
    ]


def _files(name: str) -> list[str]:
    places = [Path("/var/lib/hactl-lab") / name, *Path("/run/systemd/nspawn").glob(f"*/*{_mark(name)}*")]
    places += Path("/var/lib").glob(f".hactl-lab-trial.{name}.*")
    return [f"file {place}" for place in places if place.exists()]
