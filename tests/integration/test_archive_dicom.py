"""An archive of somebody else's, watched over the network: DCMTK's, in every condition that it can be in."""

from __future__ import annotations

import dataclasses
import gc
import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3

from hactl.adapters.clock import SystemClock
from hactl.controller.archive_probes import Prober
from hactl.decide.archive import ArchiveDecision, ArchiveMemory, decide_archive
from hactl.decide.archive_sql import Sql
from hactl.drill import endtoend, probe_place
from hactl.drill.dicom_net import Archive, tls_context
from hactl.drill.dicomweb import Web
from hactl.drill.endtoend import Place
from hactl.errors import Refused
from hactl.layout import DICOM_CA
from hactl.site import Site, find
from hactl.view.archive import ArchiveState
from hactl.view.model import State
from tests.support import archives
from tests.support.archive_pair import HTTPS, archive_pair, sample
from tests.support.dcmqrscp import Dcmqrscp, dcmqrscp
from tests.support.foreign import kind, on_loopback
from tests.support.servers import wait_until

WORKS = Sql(works_for=3600.0)
# pynetdicom leaves the socket of a failed association to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <:ResourceWarning")


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """Before the next test, which may not expect such a warning."""
    yield
    gc.collect()


@pytest.fixture
def server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Dcmqrscp]:
    with dcmqrscp(tmp_path, *getattr(request, "param", ())) as running:
        yield running


class World:
    """A controller's archive loop with the real server, without threads and etcd."""

    def __init__(self, server: Dcmqrscp, calling: str = "HACTL", aet: str = "PACS") -> None:
        self.spec = on_loopback(server.port, aet=aet)
        self.kind = kind(self.spec, calling)
        self.prober = Prober(
            {"pacs1": self.kind.again("pacs1")}, SystemClock(), lambda *_: None, lambda: True
        )
        self.memory = ArchiveMemory()

    def look(self, times: int = 1) -> ArchiveDecision:
        for _ in range(times):
            for line in self.prober._lines["pacs1"]:
                line.visit(2.0, hold=False)
            dcs, now = archives.well(), time.monotonic()
            found = decide_archive(
                self.spec, self.prober.sights(), dcs, WORKS, self.memory, now, self.kind.abilities
            )
            assert (found.plan.steps, found.plan.alarms) == ((), ())  # there is nothing that could be done
            self.memory = found.memory
        return found

    def levels(self, times: int = 1) -> tuple[dict[str, str], ArchiveState, str]:
        found = self.look(times)
        mark, probes = found.marks["pacs1"], found.looks["pacs1"].levels
        return {level: str(probes[level].state) for level in ("L0", "L1", "L2")}, mark.state, mark.why


def levels(l0: str, l1: str, l2: str) -> dict[str, str]:
    return {"L0": l0, "L1": l1, "L2": l2}


def test_it_serves_stops_freezes_and_comes_back(server: Dcmqrscp) -> None:
    world = World(server)
    assert world.levels(2) == (levels("ok", "ok", "ok"), ArchiveState.HEALTHY, "")

    server.signal(signal.SIGSTOP)
    found, state, why = world.levels(4)
    assert (found, state) == (levels("ok", "failed", "failed"), ArchiveState.FAILED)
    assert why.endswith("no answer in time")
    assert world.prober.breakers()["pacs1"] > 0  # who hangs is not asked on and on
    server.signal(signal.SIGCONT)
    world.prober.anew("pacs1")
    world.look(2)
    assert world.levels()[1] is ArchiveState.HEALTHY

    server.stop()
    found, state, why = world.levels(4)
    assert (found, state) == (levels("failed", "failed", "failed"), ArchiveState.FAILED)
    assert "connection refused" in why
    server.start()
    world.look(2)
    assert world.levels()[0] == levels("ok", "ok", "ok")


def test_a_title_that_is_not_known_says_nothing_of_its_health(server: Dcmqrscp) -> None:
    for world in (World(server, calling="NOBODY"), World(server, aet="OTHER")):
        found, state, why = world.levels(4)
        assert found == levels("ok", "unknown", "unknown")
        assert state is not ArchiveState.FAILED
        assert "AE title" in why


@pytest.mark.parametrize("server", [("--refuse",)], indirect=True)
def test_one_that_refuses_every_association_has_failed(server: Dcmqrscp) -> None:
    found, state, why = World(server).levels(4)
    assert (found, state) == (levels("ok", "failed", "failed"), ArchiveState.FAILED)
    assert "rejected" in why


@pytest.mark.parametrize("server", [("--no-study-root",)], indirect=True)
def test_one_without_the_search_that_we_ask_for_has_not(server: Dcmqrscp) -> None:
    found, state, why = World(server).levels(4)
    assert found == levels("ok", "ok", "unknown")
    assert state is not ArchiveState.FAILED
    assert "no C-FIND" in why


def test_for_whoever_looks_once_it_is_the_same(server: Dcmqrscp) -> None:
    once = World(server).kind.once("pacs1")
    assert [p.state for p in (once.listens(), once.answers(), once.index())] == [State.OK] * 3
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert once.index().failed
    assert time.monotonic() - began < 2.0  # a look at everything ends then


def site(folder: Path) -> Site:
    """An operator's, without any certificate yet."""
    return find(folder / "cluster.yaml", "demo", environ={"HACTL_STATE": str(folder / "state")})


def place(server: Dcmqrscp) -> Place:
    """As `hactl archive probe` makes it, with less patience."""
    found = probe_place.from_here(on_loopback(server.port), site(server.folder), "pacs1")
    assert (found.web, found.forget, found.archive.tls) == (None, None, None)
    return dataclasses.replace(found, archive=dataclasses.replace(found.archive, within=3.0))


def test_a_probe_with_tls_needs_our_certificates(server: Dcmqrscp) -> None:
    with pytest.raises(Refused, match="state"):
        probe_place.from_here(on_loopback(server.port, tls=True), site(server.folder), "pacs1")


def test_a_probe_leaves_one_image_however_often_it_runs(server: Dcmqrscp) -> None:
    for _ in range(3):
        found = endtoend.check(place(server), time.monotonic)
        assert found.ok, found.why
        assert tuple(found.took) == ("store", "find", "retrieve")
        assert len(server.images()) == 1
    world = World(server)  # and no search of ours shows it to anybody
    assert world.levels(2)[1] is ArchiveState.HEALTHY


@pytest.mark.parametrize("server", [("--disable-get",)], indirect=True)
def test_a_probe_that_cannot_fetch_the_image_says_so(server: Dcmqrscp) -> None:
    found = endtoend.check(place(server), time.monotonic)
    assert (found.ok, found.why) == (False, "retrieve: it offers no C-GET")


def test_a_probe_of_one_that_hangs_or_knows_us_not_fails_in_time(server: Dcmqrscp) -> None:
    stranger = place(server)
    stranger = dataclasses.replace(stranger, archive=dataclasses.replace(stranger.archive, calling="NOBODY"))
    # A rejection that is followed by a closed connection may be missed for it.
    why = endtoend.check(stranger, time.monotonic).why
    assert why.startswith("store: ")
    assert "refused the AE title NOBODY" in why or "no DICOM association" in why
    server.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert endtoend.check(place(server), time.monotonic).why.startswith("store: ")
    assert time.monotonic() - began < 10


def test_a_probe_by_dicom_and_dicomweb_over_tls() -> None:
    """Against Orthanc behind nginx, as somebody else's: nothing but DICOM and DICOMweb is used."""
    with archive_pair() as pair:
        node = pair.places["arc1"]
        pki = node.folder / "pki"
        dicom = tls_context(
            pki / DICOM_CA.name, pki / "dicom.crt", pki / "dicom.key", ssl.Purpose.SERVER_AUTH
        )
        https = tls_context(pki / "ca.crt", pki / "ops.crt", pki / "ops.key", ssl.Purpose.SERVER_AUTH)
        pool = urllib3.PoolManager(ssl_context=https, timeout=urllib3.Timeout(total=6.0), retries=False)
        web = Web(f"https://{node.address}:{HTTPS}/dicom-web", pool, {})
        archive = Archive(node.address, node.dicom, sample().archive.aet, dicom, within=6.0)
        there = Place(archive, web, "HACTL-PROBE-ops", None)
        wait_until("it serves", lambda: endtoend.check(there, time.monotonic).ok, 60)
        found = endtoend.check(there, time.monotonic)
        assert found.ok, found.why
        assert tuple(found.took) == ("store", "find", "retrieve", "wado", "qido")
        images = [p for p in (pair.folder / "images").rglob("*") if p.is_file() and len(p.name) == 36]
        dicom_files = [p for p in images if p.read_bytes()[128:132] == b"DICM"]
        assert len(dicom_files) == 1
