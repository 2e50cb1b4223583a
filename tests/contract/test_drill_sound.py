"""What pg_amcheck says of real data files, sound and damaged, as a drill reads it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from hactl.drill.sound import EXTENSION, amcheck, complaints, digests
from hactl.errors import StepFailed
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary

VERSION = 15


@pytest.fixture
def server() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "pg") as found:
        yield found


def asked(server: Server) -> tuple[str, ...]:
    where = ["--host=127.0.0.1", f"--port={server.port}", "--username=postgres"]
    argv = [*amcheck(VERSION, ["postgres"]), *where]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return complaints(done.returncode, done.stdout, done.stderr)


def test_sound_files_and_damaged_ones(server: Server) -> None:
    server.sql(EXTENSION)
    server.sql(EXTENSION)
    server.sql("create table page as select generate_series(1, 5000) as n")
    server.sql("create index page_n on page (n)")
    [[path]] = server.sql("select pg_relation_filepath('page_n')")
    assert asked(server) == ()
    server.stop("fast")
    with (server.data / str(path)).open("r+b") as file:
        file.seek(3 * 8192)
        file.write(b"not what was written there")
    server.start()
    (said,) = asked(server)
    assert "page_n" in said
    assert "invalid page in block 3" in said


def test_a_database_that_is_skipped_is_not_sound(server: Server) -> None:
    with pytest.raises(StepFailed, match="amcheck is not installed"):
        asked(server)


def test_who_does_not_answer_is_not_sound(server: Server) -> None:
    server.stop()
    with pytest.raises(StepFailed, match="pg_amcheck ended with 1"):
        asked(server)


def test_the_digests_of_histories() -> None:
    assert digests("ab  /a/pg_wal/00000002.history\ncd  /a/pg_wal/00000003.history\n") == {
        "00000002.history": "ab", "00000003.history": "cd",
    }  # fmt: skip
    assert digests("") == {}
    with pytest.raises(StepFailed, match="something else"):
        digests("ab\n")
