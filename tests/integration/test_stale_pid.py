"""What a power cut leaves of a running server must not keep the next one from its crash recovery."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hactl.errors import StepFailed
from tests.support import postgres_programs
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import BIN, Server, primary
from tests.support.servers import wait_until


@pytest.fixture
def server() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "servers") as running:
        yield running


@pytest.fixture
def clean(tmp_path: Path, server: Server) -> Callable[[], None]:
    """As systemd does before Patroni."""
    lib = postgres_programs.install(tmp_path, server.data).lib

    def run() -> None:
        subprocess.run([lib / "stale-pid"], check=True, capture_output=True, timeout=20)

    return run


@contextmanager
def somebody_else() -> Iterator[int]:
    """Another program of the account that PostgreSQL runs as; its number."""
    prefix = ["setpriv", "--reuid=postgres", "--clear-groups", "--"] if os.geteuid() == 0 else []
    with subprocess.Popen([*prefix, "sleep", "60"], cwd="/") as other:
        yield other.pid
        other.kill()


def backends(server: Server) -> list[int]:
    found = [p for p in Path("/proc").glob("[0-9]*") if _works_in(p, server.data)]
    return [int(p.name) for p in found]


def _works_in(process: Path, folder: Path) -> bool:
    try:
        return (process / "cwd").readlink() == folder
    except OSError:
        return False


def test_a_number_that_is_somebody_elses_by_now(server: Server, clean: Callable[[], None]) -> None:
    server.kill()
    wait_until("all of it is gone", lambda: not backends(server), 20)
    pid_file = server.data / "postmaster.pid"
    _, *rest = pid_file.read_text().splitlines(keepends=True)
    with somebody_else() as pid:
        pid_file.write_text(f"{pid}\n{''.join(rest)}")
        single = [f"{BIN}/postgres", "--single", "-D", str(server.data), "template1"]
        with pytest.raises(StepFailed, match="already exists"):
            server.as_postgres(*single)
        clean()
        assert not pid_file.exists()
        server.start()
    assert server.sql("select 1") == [(1,)]


def test_a_server_that_runs_keeps_its_file(server: Server, clean: Callable[[], None]) -> None:
    clean()
    assert server.running
    assert server.sql("select 1") == [(1,)]


def test_a_backend_without_its_postmaster_keeps_it_too(server: Server, clean: Callable[[], None]) -> None:
    postmaster = int((server.data / "postmaster.pid").read_text().split()[0])
    left = next(pid for pid in backends(server) if pid != postmaster)
    os.kill(left, signal.SIGSTOP)
    try:
        server.kill()
        wait_until("it is alone", lambda: backends(server) == [left], 20)
        clean()
        assert server.running, "it may still write"
    finally:
        os.kill(left, signal.SIGCONT)
    wait_until("all of it is gone", lambda: not backends(server), 20)
    clean()
    assert not server.running
