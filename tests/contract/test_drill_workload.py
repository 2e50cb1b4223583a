"""The drill's clients against real PostgreSQL: what they call ok, fail and info is what the tables show."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hactl.drill.checker import judge
from hactl.drill.history import Claim, History, Look, Outcome, Write
from hactl.drill.link import Link
from hactl.drill.workload import Load, Workload, prepare
from hactl.drill.writer import Target
from hactl.drill.writewatch import WriteWatch
from hactl.errors import Unreachable
from tests.support.leftovers import scratch
from tests.support.loopback_postgres import Server, primary

LOAD = Load(writers=3, rate=50, probe_every=0.1, within=1.0)


@pytest.fixture
def one() -> Iterator[Server]:
    with scratch() as folder, primary(folder / "servers") as server:
        yield server


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.create(tmp_path / "run.jsonl")


def writes(history: History, outcome: Outcome) -> list[Write]:
    return [e for e in history.snapshot() if isinstance(e, Write) and e.outcome is outcome]


def wait_until(history: History, outcome: Outcome, count: int, within: float = 15) -> None:
    deadline = time.monotonic() + within
    while len(writes(history, outcome)) < count:
        assert time.monotonic() < deadline, (
            f"{len(writes(history, outcome))} of {count} {outcome} within {within} s"
        )
        time.sleep(0.02)


def findings(history: History, *servers: Server) -> list[str]:
    tables = {s.data.name: s.drill_rows() for s in servers}
    heard = [Claim(s.data.name, 0, 0, writable=False) for s in servers]  # who is writable is not asked here
    events = [*history.snapshot(), Look(0, {}), *heard]
    return [str(f) for f in judge(events, tables).findings]


def test_rows_and_the_server_that_took_them(one: Server, history: History) -> None:
    prepare(one.conninfo, within=5)
    prepare(one.conninfo, within=5)
    load = Workload(Target(one.conninfo, "run"), history, LOAD)
    load.start()
    wait_until(history, Outcome.OK, 60)
    load.stop()
    server = writes(history, Outcome.OK)[0].server
    assert server
    assert (server.node, server.timeline) == ("one", 1)
    assert any(w.fresh for w in writes(history, Outcome.OK))
    assert findings(history, one) == []


def test_clients_on_the_nodes_say_where_they_are_and_their_rows_are_judged_too(
    one: Server, history: History
) -> None:
    """Where connections are opened from is the caller's matter: here one node is there, and one is not."""
    prepare(one.conninfo, within=5)

    def away(_within: float) -> Link:
        raise Unreachable("no such network")

    inside = {"one": partial(Link.open, one.conninfo), "gone": away}
    load = Workload(Target(one.conninfo, "run"), history, replace(LOAD, inside_every=0.05), inside)
    load.start()
    wait_until(history, Outcome.OK, 60)
    wait_until(history, Outcome.FAIL, 10)
    load.stop()
    through = {(w.client, w.inside, w.fresh) for w in writes(history, Outcome.OK) if w.inside}
    assert through == {("on-one", "one", False), ("new-one", "one", True)}
    assert {w.inside for w in writes(history, Outcome.FAIL)} == {"gone"}
    stored = {r.client for r in one.drill_rows()}
    assert {"on-one", "new-one"} <= stored
    assert "on-gone" not in stored
    assert findings(history, one) == []


def test_a_killed_postmaster_in_the_middle_of_the_load(one: Server, history: History) -> None:
    prepare(one.conninfo, within=5)
    load = Workload(Target(one.conninfo, "run"), history, LOAD)
    load.start()
    wait_until(history, Outcome.OK, 60)
    history.doing("fault", "one", one.kill)
    wait_until(history, Outcome.FAIL, 5)
    one.await_end()
    (one.data / "postmaster.pid").unlink()
    one.start()
    before = len(writes(history, Outcome.OK))
    wait_until(history, Outcome.OK, before + 60)
    load.stop()
    assert findings(history, one) == []
    verdict = judge(history.snapshot(), {})
    assert verdict.outage
    assert verdict.outage.recovery
    assert len({w.server.started for w in writes(history, Outcome.OK) if w.server}) == 2


def test_a_cancelled_wait_for_the_standby_is_not_an_acknowledgement(one: Server, history: History) -> None:
    prepare(one.conninfo, within=5)
    one.clone("two").start()
    one.sql("alter system set synchronous_standby_names = 'nobody'")
    one.sql("select pg_reload_conf()")
    load = Workload(Target(one.conninfo, "run"), history, Load(writers=1, rate=50, probe_every=60, within=5))
    load.start()
    deadline = time.monotonic() + 10
    waiting = "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
    while not one.sql(waiting):
        assert time.monotonic() < deadline, "no COMMIT waited for the standby"
        time.sleep(0.05)
    wait_until(history, Outcome.INFO, 1)
    one.sql("alter system set synchronous_standby_names = 'two'")
    one.sql("select pg_reload_conf()")
    wait_until(history, Outcome.OK, 5)
    load.stop()
    cancelled = writes(history, Outcome.INFO)[0]
    assert "canceling wait for synchronous replication" in cancelled.why
    stored = {(r.client, r.seq) for r in one.drill_rows()}
    assert (cancelled.client, cancelled.seq) in stored
    assert findings(history, one) == []


def test_rows_lost_by_asynchronous_replication_are_found(one: Server, history: History) -> None:
    prepare(one.conninfo, within=5)
    two = one.clone("two")
    two.start()
    two.stop()  # from here on nothing reaches it
    load = Workload(Target(one.conninfo, "run"), history, LOAD)
    load.start()
    wait_until(history, Outcome.OK, 30)
    load.stop()
    one.stop()
    two.start()
    two.as_postgres("/usr/lib/postgresql/15/bin/pg_ctl", "-D", str(two.data), "-w", "promote")
    assert any("acknowledged rows missing on two" in f for f in findings(history, two))


def test_a_standby_that_was_promoted_says_its_own_timeline(one: Server) -> None:
    two = one.clone("two")
    two.start()
    two.as_postgres("/usr/lib/postgresql/15/bin/pg_ctl", "-D", str(two.data), "-w", "promote")
    link, other = Link.open(two.conninfo, 5), Link.open(one.conninfo, 5)
    mine, its = link.who(within=5), other.who(within=5)
    link.close()
    other.close()
    assert (mine.node, mine.timeline, its.node, its.timeline) == ("two", 2, "one", 1)
    assert mine.system == its.system


def test_who_is_writable_before_and_after_a_promotion(one: Server, history: History) -> None:
    two = one.clone("two")
    two.start()
    servers = {"one": one, "two": two}
    watch = WriteWatch(servers, lambda node, within: Link.open(servers[node].conninfo, within), history)
    watch.start()
    time.sleep(0.5)
    two.as_postgres("/usr/lib/postgresql/15/bin/pg_ctl", "-D", str(two.data), "-w", "promote")
    time.sleep(0.6)
    one.stop()
    time.sleep(0.5)
    watch.stop()
    claims = [e for e in history.snapshot() if isinstance(e, Claim)]
    said = {node: [c.writable for c in claims if c.node == node] for node in servers}
    assert (said["one"][0], said["one"][-1]) == (True, None)
    assert (said["two"][0], said["two"][-1]) == (False, True)
    server = [c for c in claims if c.node == "two"][-1].server
    assert server
    assert (server.node, server.timeline) == ("two", 2)
    assert any("were both writable" in f.sentence for f in judge(claims, {}).findings)


def test_no_call_outlasts_its_deadline(one: Server) -> None:
    link = Link.open(one.conninfo, 5)
    begin = time.monotonic()
    with pytest.raises(Unreachable, match="in time"):
        link.run("select pg_sleep(30)", within=0.5)
    link.close()
    assert time.monotonic() - begin < 1


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = str(deaf.getsockname()[1])
        begin = time.monotonic()
        with pytest.raises(Unreachable, match="in time"):
            Link.open({"host": "127.0.0.1", "port": port, "user": "x", "dbname": "x"}, 0.5)
    assert time.monotonic() - begin < 1


def test_of_several_hosts_the_first_that_is_writable_and_answers(one: Server) -> None:
    """One that accepts and says nothing costs its part of the time, one that refuses costs none."""
    hosts = {**one.conninfo, "connect_timeout": "0.5", "target_session_attrs": "read-write"}
    with socket.create_server(("127.0.0.9", int(one.conninfo["port"]))):
        begin = time.monotonic()
        link = Link.open({**hosts, "host": f"127.0.0.8,127.0.0.9,{one.conninfo['host']}"}, 5)
        took = time.monotonic() - begin
        assert link.writer(within=1)
        link.close()
        with pytest.raises(Unreachable):
            Link.open({**hosts, "host": "127.0.0.9,127.0.0.8"}, 5)
    assert 0.5 <= took < 1.5


def test_stopping_ends_every_thread(one: Server, history: History) -> None:
    prepare(one.conninfo, within=5)
    before = threading.active_count()
    load = Workload(Target(one.conninfo, "run"), history, LOAD)
    load.start()
    wait_until(history, Outcome.OK, 10)
    load.stop()
    assert threading.active_count() == before
