"""A real pair of Orthancs that hangs: what is asked of it then, what is decided, and how it comes back."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from hactl.adapters.archive_routes import OwnFiles, orthanc_lines
from hactl.adapters.clock import SystemClock
from hactl.adapters.dicom_echo import DicomEcho, Titles
from hactl.adapters.http_keep import KeepAlive
from hactl.controller.archive_probes import Prober
from hactl.decide.archive import ArchiveMemory, decide_archive
from hactl.decide.archive_sql import Sql
from hactl.decide.plan import GiveOrder
from hactl.layout import DICOM_CA
from hactl.ports import ArchiveLines
from tests.support import archives
from tests.support.archive_pair import HTTPS, ArchivePair, archive_pair, sample, sql
from tests.support.servers import wait_until

WORKS = Sql(works_for=3600.0)


def lines(pair: ArchivePair, node: str) -> ArchiveLines:
    place = pair.places[node]
    pki = place.folder / "pki"
    https = OwnFiles(pki / "ca.crt", pki / "ops.crt", pki / "ops.key")
    dicom = OwnFiles(pki / DICOM_CA.name, pki / "dicom.crt", pki / "dicom.key")
    echo = DicomEcho(dicom.context, place.address, place.dicom, Titles("HACTL", "PACS"))
    http = KeepAlive(f"https://{place.address}:{HTTPS}", https)
    return orthanc_lines(http, echo, place.address, place.dicom)


class World:
    def __init__(self, pair: ArchivePair) -> None:
        self.pair = pair
        nodes = {node: lines(pair, node) for node in pair.places}
        self.prober = Prober(nodes, SystemClock(), lambda *_: None, lambda: True)

    def states(self, node: str) -> dict[str, str]:
        return {name: str(s.probe.state) for name, s in self.prober.sights()[node].items()}

    def wait(self, node: str, within: float = 30, **routes: str) -> None:
        try:
            wait_until(f"{node} is {routes}", lambda: self.states(node).items() >= routes.items(), within)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.prober.sights()[node]}") from error

    def well(self, node: str, within: float = 30) -> None:
        self.wait(node, within, **dict.fromkeys(("index", "now", "front", "echo", "dicom"), "ok"))

    def signal(self, node: str, number: signal.Signals) -> None:
        process = self.pair.daemons[f"orthanc-{node}"].process
        assert process is not None
        os.kill(process.pid, number)

    def waiting(self, node: str) -> int:
        """Connections of this node that wait for a lock of the database."""
        found = sql(self.pair, "SELECT application_name FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return found.splitlines().count(f"orthanc-{node}")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """A query holds the table that every index reads: pooled connections wait, SQL itself works."""
        argv = ["psql", "-XAtq", "orthanc", "-h", str(self.pair.folder / "pg"), "-U", "postgres"]
        query = "BEGIN; LOCK TABLE changes; SELECT pg_sleep(120)"
        holder = subprocess.Popen([*argv, "-c", query], cwd="/", stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'"
            sql(self.pair, end)
            holder.wait(10)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    stop = threading.Event()
    with archive_pair() as pair:
        found = World(pair)
        found.prober.weather(WORKS)
        found.prober.start(stop)
        try:
            found.well("arc1", 60)
            found.well("arc2", 60)
            yield found
        finally:
            stop.set()
            found.prober.close(10)


def test_an_index_that_hangs_is_not_starved_by_being_asked(world: World) -> None:
    """One question each 2 s would use up a pool of twelve connections in half a minute, and then threads."""
    with world.locked():
        world.wait("arc1", index="failed", now="ok", echo="ok")
        wait_until("the breaker opens", lambda: world.prober.breakers()["arc1"] == 1, 30)
        time.sleep(15)
        assert world.waiting("arc1") <= 6
        assert world.states("arc1")["now"] == "ok"
        assert not restarts(world, FAILS)
        assert len(restarts(world, WORKS)) == 1
    world.prober.weather(Sql(away_for=60.0))
    world.prober.weather(WORKS)  # as after a failover: all is asked again
    world.well("arc1", 20)
    world.well("arc2", 20)
    assert world.prober.breakers() == {"arc1": 0, "arc2": 0}


FAILS = Sql(away_for=60.0, why="60 commits failed in a row")


def restarts(world: World, database: Sql) -> list[GiveOrder]:
    """What would be ordered now: for a hung pool one restart, of one node."""
    dcs = archives.scene().dcs
    spec, now, memory = sample(), time.monotonic(), ArchiveMemory()
    later = {
        node: {name: dataclasses.replace(s, since=s.since - 10) for name, s in found.items()}
        for node, found in world.prober.sights().items()
    }
    plan = decide_archive(spec, later, dcs, database, memory, now).plan
    return [s.action for s in plan.steps if isinstance(s.action, GiveOrder)]


def test_a_frozen_orthanc_has_ports_and_nothing_else(world: World) -> None:
    world.signal("arc2", signal.SIGSTOP)
    try:
        world.wait("arc2", index="failed", now="failed", echo="failed", front="ok", dicom="ok")
        assert "ok" in world.states("arc1").values()
        wait_until("the breakers open", lambda: world.prober.breakers()["arc2"] >= 3, 60)
        assert [(o.node, o.unit) for o in restarts(world, WORKS)] == [("arc2", "orthanc.service")]
    finally:
        world.signal("arc2", signal.SIGCONT)
    world.prober.anew("arc2")
    world.well("arc2", 30)


def test_without_nginx_only_dicom_answers_and_nginx_is_to_blame(world: World) -> None:
    world.pair.daemons["nginx-arc1"].kill()
    try:
        world.wait("arc1", index="failed", front="failed", echo="ok")
        wait_until("often enough", lambda: world.prober.sights()["arc1"]["front"].in_row > 1, 20)
        orders = restarts(world, WORKS)  # a part of it serves: 30 s, of which only 10 are made up here
        assert orders == []
        assert world.prober.breakers()["arc1"] == 0  # refusals cost nobody a thread
    finally:
        world.pair.start("nginx-arc1")
    world.well("arc1", 20)
