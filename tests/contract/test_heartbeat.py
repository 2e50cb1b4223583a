"""The heartbeat against a real PostgreSQL: what counts as a commit, and that no wait is too long."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hactl.adapters.heartbeat import NoBeat, VipHeartbeat
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary

TABLE = "create table heartbeat (id integer primary key, at timestamptz not null, by text not null)"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "servers") as one:
        one.sql(TABLE)
        yield one


def _heart(server: Server, row: int = 1, by: str = "wit1") -> VipHeartbeat:
    return VipHeartbeat(server.conninfo, row=row, by=by)


def test_a_beat_is_a_committed_row_and_names_who_took_it(server: Server) -> None:
    beat = _heart(server).beat(5)
    assert beat.node == "one"
    assert 0 < beat.took < 5
    assert server.sql("select by from heartbeat where id = 1") == [("wit1",)]


def test_each_controller_has_a_row_of_its_own_that_it_writes_again(server: Server) -> None:
    for _ in range(2):
        _heart(server, 1, "wit1").beat(5)
        _heart(server, 2, "db2").beat(5)
    assert server.sql("select id, by from heartbeat order by id") == [(1, "wit1"), (2, "db2")]


def test_a_commit_that_waits_for_a_standby_is_no_beat(server: Server) -> None:
    server.sql("alter system set synchronous_standby_names = 'nobody'")
    server.sql("select pg_reload_conf()")
    try:
        end = time.monotonic() + 5
        while server.sql("show synchronous_standby_names") != [("nobody",)]:
            assert time.monotonic() < end
        began = time.monotonic()
        with pytest.raises(NoBeat, match="in time") as failed:
            _heart(server, 3).beat(0.5)
        assert time.monotonic() - began < 1.5
        assert failed.value.reached
    finally:
        server.sql("alter system reset synchronous_standby_names")
        server.sql("select pg_reload_conf()")


def test_a_wait_that_somebody_cancels_is_no_beat(server: Server) -> None:
    """PostgreSQL then answers COMMIT, with the warning 01000: the row may be lost with this server."""
    server.sql("alter system set synchronous_standby_names = 'nobody'")
    server.sql("select pg_reload_conf()")
    failed: list[NoBeat] = []

    def beat() -> None:
        try:
            _heart(server, 4).beat(10)
        except NoBeat as error:
            failed.append(error)

    thread = threading.Thread(target=beat)
    try:
        thread.start()
        waiting = "select pid from pg_stat_activity where wait_event = 'SyncRep'"
        end = time.monotonic() + 8
        while not server.sql(waiting):
            assert time.monotonic() < end
            time.sleep(0.05)
        server.sql("select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'")
        thread.join(8)
    finally:
        server.sql("alter system reset synchronous_standby_names")
        server.sql("select pg_reload_conf()")
    assert "canceling" in failed[0].message


def test_a_port_that_is_closed_was_not_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(NoBeat) as failed:
        VipHeartbeat({"host": "127.0.0.1", "port": str(port), "user": "x"}, row=1, by="x").beat(1)
    assert not failed.value.reached


def test_a_server_that_accepts_and_never_answers_was_reached_and_costs_its_time_only() -> None:
    """As a frozen postmaster: the kernel accepts, nobody speaks."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = {"host": "127.0.0.1", "port": str(silent.getsockname()[1]), "user": "x"}
        began = time.monotonic()
        with pytest.raises(NoBeat, match="in time") as failed:
            VipHeartbeat(where, row=1, by="x").beat(0.4)
        assert 0.3 < time.monotonic() - began < 1.5
    assert failed.value.reached
