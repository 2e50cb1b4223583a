"""What a killed test run leaves behind, and how the next one finds and ends it.

Whatever can outlive its test carries its run's name. Folders and network namespaces have it in their own
names; processes in their environment or, where a program writes over that (as PostgreSQL does), in a path
of the run that is its working folder, its output, or in its command line. A lab is none of it: it may be kept
up on purpose, and goes by `hactl lab down`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support import postmaster

RUN = "HACTL_TEST_RUN"
_NAME = re.compile(r"hactl-test-(\d+\.\d+)-")
_MARK = re.compile(rf"(?:^|\0){RUN}=(\d+\.\d+)(?:\0|$)")
_LAB = "hactl-lab."  # in the name of each of its control groups
_NAMESPACES = Path("/run/netns")
_GONE_WITHIN = 10.0  # seconds
_TERMINAL, _STARTED = 4, 19  # places in /proc/PID/stat, behind the name


def run_name() -> str:
    """`PID.START` of the pytest that began; its workers, and what they start, inherit it."""
    return os.environ.setdefault(RUN, f"{os.getpid()}.{_start(os.getpid())}")


def name(what: str) -> str:
    """For a network namespace, or whatever else has a name that nobody else may have."""
    return f"hactl-test-{run_name()}-{secrets.token_hex(3)}-{what}"


@contextlib.contextmanager
def scratch(parent: str | None = None) -> Iterator[Path]:
    """A folder that every account may enter, which pytest's own are not; removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"hactl-test-{run_name()}-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep() -> list[str]:
    """Ends the processes and removes the namespaces and folders of runs that are over; says which."""
    found = _processes()
    for pid in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + _GONE_WITHIN
    while any(Path(f"/proc/{pid}").exists() for pid in found) and time.monotonic() < end:
        time.sleep(0.05)
    said = [f"process {pid}: {line}" for pid, line in found.items()]
    for space in sorted(_over(_NAMESPACES)):
        argv = ["ip", "netns", "del", space.name]
        subprocess.run(argv, capture_output=True, timeout=10, check=False)
        said.append(f"network namespace {space.name}")
    for folder in sorted({*_over(Path(tempfile.gettempdir())), *_over(Path("/run"))}):
        for place in _mounted(folder):
            subprocess.run(["/usr/bin/umount", "--lazy", place], capture_output=True, timeout=10, check=False)
        for file in folder.glob("**/postmaster.pid"):
            postmaster.end(file.parent)
        shutil.rmtree(folder, ignore_errors=True)
        said.append(f"folder {folder}")
    return said


def _mounted(folder: Path) -> list[str]:
    """What is mounted below a folder, the last one first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [place for line in reversed(lines) if (place := line.split()[4]).startswith(f"{folder}/")]


def _over(parent: Path) -> Iterator[Path]:
    """What is in a folder and belongs to a run that is over."""
    with contextlib.suppress(OSError):
        for entry in parent.iterdir():
            match = _NAME.match(entry.name)
            if match and not _lives(match[1]):
                yield entry


def _processes() -> dict[int, str]:
    """Their command lines. Only of this PID namespace: elsewhere a run's number means another process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is none of ours
            if (folder / "ns/pid").readlink() != Path("/proc/self/ns/pid").readlink():
                continue
            if _LAB in (folder / "cgroup").read_text():
                continue
            line = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
            if any(not _lives(run) for run in _runs(folder, line)):
                found[int(folder.name)] = line[:100]
    return found


def _runs(folder: Path, line: str) -> set[str]:
    """The names of runs that a process carries."""
    marks = _MARK.findall((folder / "environ").read_bytes().decode(errors="replace"))
    if _stat(int(folder.name))[_TERMINAL] != "0":  # somebody reads what is left there
        return set(marks)
    texts = [line]
    for link in ("cwd", "fd/1", "fd/2"):
        with contextlib.suppress(OSError):
            texts.append(str((folder / link).readlink()))
    return {*marks, *_NAME.findall("\n".join(texts))}


def _lives(run: str) -> bool:
    pid, _, start = run.partition(".")
    return _start(int(pid)) == start


def _start(pid: int) -> str:
    """When it started, in ticks since boot; "" when there is none. A process's number may be used again."""
    try:
        return _stat(pid)[_STARTED]
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
