"""A rewind that does not come to its end: nothing may start on what it leaves. Two real servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hactl.errors import StepFailed
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server
from tests.support.parted import (
    ROWS,
    clone,
    kept,
    owned,
    promote,
    rewind,
    running_copy,
    source,
    stopped_pair,
    write,
)
from tests.support.postgres_programs import Programs, install
from tests.support.servers import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as made:
        yield made


@pytest.fixture(scope="module")
def model() -> Iterator[tuple[Server, Server]]:
    with stopped_pair() as pair:
        yield pair


@pytest.fixture
def pair(folder: Path, model: tuple[Server, Server]) -> Iterator[tuple[Server, Server]]:
    with running_copy(folder, model) as pair:
        yield pair


@pytest.fixture
def programs(folder: Path, pair: tuple[Server, Server]) -> Programs:
    return install(folder, pair[0].data)


def control(server: Server) -> Path:
    return server.data / "global" / "pg_control"


def condemned(server: Server) -> bool:
    aside = control(server).with_name("pg_control.half-rewound")
    return control(server).stat().st_size == 0 and aside.stat().st_size > 0


def mark(server: Server) -> Path:
    return server.data.with_name(f"{server.data.name}.rewinding")


def changed_on_both(one: Server, two: Server) -> Path:
    """The file of the table, which a rewind must change."""
    promote(two)
    write(one, ROWS)
    write(two, ROWS)
    file = one.data / str(one.sql("select pg_relation_filepath('t')")[0][0])
    one.stop("fast")
    return file


def test_a_rewind_that_ends_well_leaves_no_mark(pair: tuple[Server, Server], programs: Programs) -> None:
    one, two = pair
    changed_on_both(one, two)
    assert rewind(programs, one, two).returncode == 0
    assert not mark(one).exists()
    assert not condemned_at_all(one)


def condemned_at_all(server: Server) -> bool:
    return control(server).with_name("pg_control.half-rewound").exists()


def test_nothing_starts_on_what_is_half_rewound(pair: tuple[Server, Server], programs: Programs) -> None:
    one, two = pair
    changed_on_both(one, two).chmod(0o400)  # so it ends in the middle
    done = rewind(programs, one, two)
    assert done.returncode == 1
    assert "need to copy" in done.stderr
    assert condemned(one)
    assert not mark(one).exists()
    with pytest.raises(StepFailed):
        one.start()
    assert clone(programs, one, two).returncode == 0
    assert condemned(Server(kept(one), one.port)), "what it held alone is kept"
    assert control(one).stat().st_size > 0


def test_a_rewind_that_changes_nothing_leaves_all_as_it_was(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, two = pair
    changed_on_both(one, two)
    two.stop("fast")
    assert rewind(programs, one, two).returncode == 1
    assert not condemned_at_all(one)
    assert not mark(one).exists()
    one.start()
    assert one.sql("select count(*) from t") == [(ROWS,)]


def half_rewound(programs: Programs) -> None:
    """As systemd runs it before Patroni."""
    done = programs.run("half-rewound", [])
    assert done.returncode == 0, done.stderr


def test_what_a_power_cut_leaves_is_found_by_its_mark(
    pair: tuple[Server, Server], programs: Programs
) -> None:
    one, _ = pair
    one.stop("fast")
    mark(one).write_text(f"{one.data.stat().st_ino} it was about to begin")
    owned(mark(one))
    half_rewound(programs)
    assert condemned(one)
    assert not mark(one).exists()
    half_rewound(programs)
    assert condemned(one), "and once more changes nothing"


@pytest.mark.parametrize("text", ["", "1", "{other} {data}", "{other} /not/there"])
def test_a_mark_of_other_data_or_half_a_mark_condemns_nothing(
    pair: tuple[Server, Server], programs: Programs, text: str
) -> None:
    one, two = pair
    mark(one).write_text(text.format(other=two.data.stat().st_ino, data=one.data))
    owned(mark(one))
    half_rewound(programs)
    assert not condemned_at_all(one)
    assert not mark(one).exists()


def test_a_rewind_that_finds_a_mark_is_not_begun(pair: tuple[Server, Server], programs: Programs) -> None:
    """Its program was killed while Patroni lived on."""
    one, two = pair
    changed_on_both(one, two)
    mark(one).write_text(f"{one.data.stat().st_ino} it was about to begin")
    owned(mark(one))
    assert rewind(programs, one, two).returncode == 1
    assert condemned(one)
    assert not mark(one).exists()


SLOW = {
    "changing": 'echo "pg_rewind: need to copy 1 MB" >&2; exec sleep 60',
    "reading": 'echo "pg_rewind: reading WAL in target" >&2; exec sleep 60',
}


@pytest.mark.parametrize(("doing", "lost"), [("changing", True), ("reading", False)])
def test_ended_by_patroni_it_leaves_what_can_be_told(
    pair: tuple[Server, Server], folder: Path, doing: str, *, lost: bool
) -> None:
    """As Patroni does when it is to copy anew by force, or dies."""
    one, two = pair
    one.stop("fast")
    shim = folder / "slow" / "pg_rewind"
    shim.parent.mkdir()
    shim.write_text(f"#!/bin/sh\n{SLOW[doing]}\n")
    shim.chmod(0o755)
    programs = install(folder / "slow", one.data, pg_bin=shim.parent)
    with began(programs, one, two) as process:
        said = "had begun" if lost else "about to begin"
        wait_until("it is at work", lambda: mark(one).exists() and said in mark(one).read_text(), 20)
        process.terminate()
        assert process.wait(20) != 0
    assert condemned_at_all(one) is lost
    assert not mark(one).exists()


@contextmanager
def began(programs: Programs, one: Server, two: Server) -> Iterator[subprocess.Popen[bytes]]:
    account = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
    argv = [str(programs.lib / "pg-rewind"), "-D", str(one.data), "--source-server", source(two)]
    with subprocess.Popen([*(account if os.geteuid() == 0 else []), *argv], cwd="/") as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_server_that_runs_is_not_condemned(pair: tuple[Server, Server], programs: Programs) -> None:
    """Whatever a mark says: it was rewound to its end, or copied, or it would not run."""
    one, _ = pair
    mark(one).write_text(f"{one.data.stat().st_ino} it had begun to change the data")
    owned(mark(one))
    half_rewound(programs)
    assert not condemned_at_all(one)
    assert not mark(one).exists()
    assert one.sql("select 1") == [(1,)]


def test_the_newest_control_file_is_kept(pair: tuple[Server, Server], programs: Programs) -> None:
    """Somebody copied the old one back, instead of moving it, and it is condemned again."""
    one, _ = pair
    one.stop("fast")
    aside = control(one).with_name("pg_control.half-rewound")
    aside.write_bytes(b"old")
    owned(aside)
    now = control(one).read_bytes()
    for _ in range(2):
        mark(one).write_text(f"{one.data.stat().st_ino} it was about to begin")
        owned(mark(one))
        half_rewound(programs)
    assert aside.read_bytes() == now
    assert control(one).stat().st_size == 0


def test_a_mixture_takes_no_older_datas_place(pair: tuple[Server, Server], programs: Programs) -> None:
    """Older data that were kept are whole; and the ledger that the rewind made stays the newest."""
    one, two = pair
    older = kept(one)
    older.mkdir()
    (older / "whole").touch()
    owned(older)
    changed_on_both(one, two).chmod(0o400)
    assert rewind(programs, one, two).returncode == 1
    assert clone(programs, one, two).returncode == 0
    assert (older / "whole").exists()
    assert programs.entry()["commits"] == ROWS


def test_kept_data_stay_while_there_is_only_a_mixture(pair: tuple[Server, Server], folder: Path) -> None:
    """However full the disk is."""
    one, _ = pair
    programs = install(folder / "full", one.data, least=1.1)
    one.stop("fast")
    kept(one).mkdir()
    owned(kept(one))
    mark(one).write_text(f"{one.data.stat().st_ino} it was about to begin")
    owned(mark(one))
    half_rewound(programs)
    assert programs.run("clean-kept", []).returncode == 0
    assert kept(one).exists()
