"""The agent's look at a real PostgreSQL: primary, standby, lost slot, frozen, gone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import psycopg2
import pytest

from hactl.adapters.postgres_local import WITHIN, LocalPostgres
from hactl.errors import Unreachable
from hactl.units import Lsn
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary
from tests.support.ports import free_port
from tests.support.servers import wait_until


@pytest.fixture(scope="module")
def one() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "pg") as server:
        yield server


@pytest.fixture
def look(one: Server) -> Iterator[LocalPostgres]:
    found = LocalPostgres(one.conninfo)
    yield found
    found.close()


def test_a_primary(look: LocalPostgres) -> None:
    found = look.look()
    assert (found.writable, found.streaming_from, found.timeline, found.lost_slots) == (True, "", 1, ())
    assert found.lsn is not None
    assert found.oldest is not None, "nobody streams from it: how far back does its WAL go?"
    assert found.oldest <= found.lsn < Lsn(found.oldest.value + 16 * 2**20), "one segment is all it has"
    assert look.look().lsn is not None, "over the same connection"


def test_a_standby_says_from_whom_it_streams(one: Server, look: LocalPostgres) -> None:
    two = one.clone("two")
    two.start()
    other = LocalPostgres(two.conninfo)
    try:
        wait_until("it streams", lambda: other.look().streaming_from == "127.0.0.1", 20)
        found = other.look()
        assert (found.writable, found.timeline, found.oldest) == (False, 1, None)
        assert found.lsn is not None
        assert look.look().oldest is None, "somebody streams from it: nobody asks"
    finally:
        other.close()
        two.stop()


def test_a_page_that_fails_its_checksum_is_counted_once_somebody_has_read_it(one: Server) -> None:
    """On a standby as well, where nothing but a reader finds it."""
    one.sql("create table page as select generate_series(1, 1000) as n")
    [[path]] = one.sql("select pg_relation_filepath('page')")
    one.sql("checkpoint")  # or its replay would put the page right
    two = one.clone("bad")
    two.start()
    two.stop("fast")
    two.as_postgres("/usr/lib/postgresql/15/bin/pg_checksums", "--enable", "-D", str(two.data))
    with (two.data / str(path)).open("r+b") as file:
        file.seek(8192 + 100)
        file.write(b"not what was written")
    two.start()
    look = LocalPostgres(two.conninfo)
    try:
        assert look.look().damaged == (), "nobody has read it"
        with pytest.raises(psycopg2.Error, match="invalid page in block 1"):
            two.sql("select count(*) from page")
        wait_until("it is counted", lambda: look.look().damaged == ("postgres",), 10)
    finally:
        look.close()
        two.stop()


def test_a_frozen_postgresql_costs_a_second_and_a_half_and_the_next_look_connects_anew(
    one: Server, look: LocalPostgres
) -> None:
    look.look()
    pids = [
        int(str(row[0])) for row in one.sql("select pid from pg_stat_activity where pid <> pg_backend_pid()")
    ]
    postmaster = int((one.data / "postmaster.pid").read_text().split()[0])
    for pid in (postmaster, *pids):
        os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            start = time.monotonic()
            with pytest.raises(Unreachable, match="no answer within"):
                look.look()
            assert time.monotonic() - start < WITHIN + 0.5
    finally:
        for pid in (*pids, postmaster):
            os.kill(pid, signal.SIGCONT)
    assert look.look().writable is True


def test_none_there(one: Server) -> None:
    look = LocalPostgres({**one.conninfo, "port": str(free_port())})
    with pytest.raises(Unreachable, match="refused"):
        look.look()
