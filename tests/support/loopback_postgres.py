"""Real PostgreSQL servers on loopback: a primary, and on demand a synchronous standby."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hactl.adapters.command import run
from hactl.drill.history import Row
from hactl.drill.link import Link
from tests.support import postmaster
from tests.support.leftovers import scratch
from tests.support.ports import free_port

BIN = Path("/usr/lib/postgresql/15/bin")


def as_postgres(folder: Path, *argv: str) -> str:
    """What it printed, run in this folder."""
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    return run([*prefix, *argv], within=60, cwd=folder).out


def owned(folder: Path) -> Path:
    """Given to the account that servers run as; PostgreSQL refuses root."""
    if os.geteuid() == 0:
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


@functools.cache
def _blank() -> Path:
    """Data as initdb makes them, once a process: it takes a second or two. Who needs some gets a copy."""
    if not (BIN / "initdb").exists():
        pytest.fail(f"PostgreSQL 15 is missing ({BIN}/initdb): apt-get install postgresql-15")
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    folder = owned(stack.enter_context(scratch()))
    as_postgres(
        folder, f"{BIN}/initdb", "-D", str(folder / "data"), "-A", "trust", "-U", "postgres", "--no-sync"
    )
    return folder / "data"


def blank(data: Path) -> None:
    """Makes `data`, in a folder that belongs to postgres: everybody is let in, nothing is configured."""
    as_postgres(data.parent, "cp", "-a", str(_blank()), str(data))


@dataclass
class Server:
    """One instance; started and stopped by pg_ctl as an account that is not root."""

    data: Path
    port: int

    def as_postgres(self, *argv: str) -> str:
        return as_postgres(self.data.parent, *argv)

    def start(self) -> None:
        self.as_postgres(f"{BIN}/pg_ctl", "-D", str(self.data), "-l", f"{self.data}.log", "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        self.as_postgres(f"{BIN}/pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def kill(self) -> None:
        """SIGKILL to the postmaster, as a crash would: its backends see it and end by themselves."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def await_end(self, within: float = 10) -> None:
        """After `kill`: until the last backend has noticed, and so let go of the shared memory."""
        deadline = time.monotonic() + within
        while self.data in _working_folders():
            assert time.monotonic() < deadline, f"backends outlive their postmaster by {within:g} s"
            time.sleep(0.02)
        postmaster.end(self.data)

    @property
    def running(self) -> bool:
        return (self.data / "postmaster.pid").exists()

    @property
    def conninfo(self) -> dict[str, str]:
        return {"host": "127.0.0.1", "port": str(self.port), "user": "postgres", "dbname": "postgres"}

    def sql(self, text: str) -> list[tuple[object, ...]]:
        link = Link.open(self.conninfo, 10)
        try:
            return link.run(text, within=20)
        finally:
            link.close()

    def drill_rows(self) -> list[Row]:
        found = self.sql("select client, seq, id from drill_row where run = 'run' order by id")
        return [Row(str(client), int(str(seq)), int(str(place))) for client, seq, place in found]

    def configure(self, **settings: str) -> None:
        with (self.data / "postgresql.conf").open("a") as out:
            out.writelines(f"{name.replace('__', '.')} = '{value}'\n" for name, value in settings.items())

    def clone(self, name: str) -> Server:
        """A streaming standby of this server, not started yet."""
        other = Server(self.data.parent / name, free_port())
        self.as_postgres(
            f"{BIN}/pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres",
            "-D", str(other.data), "-R", "-X", "stream", "-c", "fast",
        )  # fmt: skip
        other.configure(port=str(other.port), hactl__node=name)
        other.follow(self)
        return other

    def follow(self, other: Server) -> None:
        """Streams from it from the next start on, if it starts as a standby."""
        source = f"host=127.0.0.1 port={other.port} user=postgres application_name={self.data.name}"
        with (self.data / "postgresql.auto.conf").open("a") as out:
            out.write(f"primary_conninfo = '{source}'\n")

    def copy(self, folder: Path) -> Server:
        """Of a server that is stopped: the same data in another folder of postgres's, with its own port."""
        as_postgres(folder, "cp", "-a", str(self.data), str(folder))
        other = Server(folder / self.data.name, free_port())
        other.configure(port=str(other.port))
        return other


def _working_folders() -> set[Path]:
    """Of all processes; those of PostgreSQL work in its data folder."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with contextlib.suppress(OSError):  # it ended meanwhile, or is another account's
            found.add(link.readlink())
    return found


@contextlib.contextmanager
def primary(folder: Path) -> Iterator[Server]:
    """A new server named one; it and its clones are stopped at the end."""
    with ended(folder):
        server = Server(folder / "one", free_port())
        blank(server.data)
        server.configure(
            port=str(server.port),
            listen_addresses="127.0.0.1",
            unix_socket_directories="",
            hactl__node="one",
            fsync="off",
        )
        server.start()
        yield server


@contextlib.contextmanager
def ended(folder: Path) -> Iterator[Path]:
    """The folder, postgres's own. Whatever server runs in it afterwards is ended, and its data go."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield owned(folder)
    finally:
        for pid_file in folder.glob("*/postmaster.pid"):
            postmaster.end(pid_file.parent)
        shutil.rmtree(folder, ignore_errors=True)
