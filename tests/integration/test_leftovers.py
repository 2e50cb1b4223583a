"""What a killed test run left is found and ended by the next one, and nothing of a run that lives."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import leftovers
from tests.support.loopback_postgres import BIN

pytestmark = pytest.mark.lab  # namespaces, as root
ROOT = Path(__file__).resolve().parents[2]
# A PostgreSQL (it writes over its environment), a daemon that has only its environment, a namespace, a mount.
RUN = """
import subprocess, time
from tests.support import leftovers
from tests.support.loopback_postgres import primary
with leftovers.scratch() as folder, primary(folder / "pg") as server:
    subprocess.run(["setsid", "-f", "sleep", "303"], check=True)
    space = leftovers.name("x")
    subprocess.run(["ip", "netns", "add", space], check=True)
    (folder / "disk").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder / "disk")], check=True)
    print(folder, space, server.data, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def killed() -> Iterator[list[str]]:
    """The name of a run that was killed, its folder, its namespace, its server's data."""
    environment = {k: v for k, v in os.environ.items() if k != leftovers.RUN}
    argv = [sys.executable, "-c", RUN]
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        said = run.stdout.readline().split()
        assert len(said) == 3
        leftovers.sweep()
        assert Path("/run/netns", said[1]).exists(), "the run lives"
        run.kill()
    yield [f"{run.pid}.", *said]
    leftovers.sweep()


def of(mark: str) -> list[str]:
    """Command lines of the processes that have this in their command line or environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            line, environment = ((folder / name).read_bytes() for name in ("cmdline", "environ"))
            if mark.encode() in line + environment:
                found.append(line.replace(b"\0", b" ").decode().strip())
    return found


def test_the_next_run_ends_what_a_killed_one_left(killed: list[str]) -> None:
    run, folder, space, data = killed
    mark = f"{leftovers.RUN}={run}"
    assert of(mark) == ["sleep 303"]
    assert [line for line in of(data) if line.startswith(str(BIN))]
    said = leftovers.sweep()
    assert f"network namespace {space}" in said
    assert f"folder {folder}" in said
    assert of(mark) == of(data) == []
    assert folder not in Path("/proc/self/mountinfo").read_text()
    assert not Path(folder).exists()
    assert not Path("/run/netns", space).exists()


def test_what_is_named_after_a_living_run_stays() -> None:
    with leftovers.scratch() as folder:
        leftovers.sweep()
        assert folder.is_dir()
    assert not folder.exists()
