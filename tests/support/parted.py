"""Two PostgreSQL servers of one history that part: what a former primary and the new one are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hactl.render.roles import _REWIND_FUNCTIONS
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, ended, primary
from tests.support.postgres_programs import Programs

ROWS = 7


@contextmanager
def stopped_pair() -> Iterator[tuple[Server, Server]]:
    """A primary with a standby, and accounts as a node has them; both are stopped, and stay so."""
    with scratch() as folder, primary(folder / "servers") as one:
        one.configure(wal_log_hints="on", hot_standby="on", wal_keep_size="64MB", autovacuum="off")
        one.stop("fast")
        one.start()
        one.sql("create table t (n integer)")
        one.sql("create role rewind login")
        for function in _REWIND_FUNCTIONS:
            one.sql(f"grant execute on function {function} to rewind")
        two = one.clone("two")
        one.stop("fast")
        yield one, two


@contextmanager
def running_copy(folder: Path, model: tuple[Server, Server]) -> Iterator[tuple[Server, Server]]:
    """A copy of the model's that runs: the standby streams."""
    with ended(folder / "servers") as servers:
        one, two = (server.copy(servers) for server in model)
        two.follow(one)
        one.start()
        two.start()
        yield one, two


def source(server: Server, user: str = "rewind") -> str:
    return f"host=127.0.0.1 port={server.port} user={user} dbname=postgres"


def promote(two: Server) -> None:
    two.as_postgres("/usr/lib/postgresql/15/bin/pg_ctl", "promote", "-D", str(two.data), "-w")
    two.sql("checkpoint")


def write(server: Server, rows: int) -> None:
    for _ in range(rows):
        server.sql("insert into t values (1)")


def rewind(programs: Programs, old: Server, new: Server) -> subprocess.CompletedProcess[str]:
    return programs.run("pg-rewind", ["-D", str(old.data), "--source-server", source(new)])


def owned(path: Path) -> None:
    if os.geteuid() == 0:
        subprocess.run(["/usr/bin/chown", "-R", "postgres:", str(path)], check=True, timeout=20)


def clone(programs: Programs, old: Server, new: Server) -> subprocess.CompletedProcess[str]:
    argv = [
        f"--datadir={old.data}",
        f"--connstring={source(new, 'postgres')}",
        "--scope=demo",
        "--role=replica",
    ]
    return programs.run("clone", [*argv, "--keep_data=True"])


def kept(server: Server) -> Path:
    return server.data.with_name("one.kept")
