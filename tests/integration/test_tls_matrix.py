"""The TLS check against what hactl really runs: Orthanc, nginx and PostgreSQL, as they are rendered.

And against what it must find: Orthanc without our OPENSSL_CONF, servers that take everything.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hactl import layout
from hactl.adapters.tls_matrix import Files
from hactl.adapters.tls_offer import Pair
from hactl.decide import tls
from hactl.decide.tls import Verdict
from hactl.metrics.exporter import Exporter
from hactl.metrics.instruments import Instruments
from hactl.metrics.server import Listener
from hactl.metrics.snapshot import Board
from hactl.metrics.tls import ServerTls
from hactl.view.tls import Endpoint, Offer, Outcome, Speaks
from tests.support.archive_pair import HTTPS, ArchivePair, archive_pair, listens
from tests.support.servers import wait_until
from tests.support.tls import TestCa
from tests.support.tls_check import checked, pair
from tests.support.views import demo_spec


@pytest.fixture(scope="module")
def archives() -> Iterator[ArchivePair]:
    with archive_pair() as running:
        yield running


def files(archives: ArchivePair, node: str = "arc1") -> dict[str, Files]:
    folder = archives.places[node].folder / "pki"
    expired = {name: Pair(folder / name, folder / name) for name in ("expired.pem", "dicom-expired.pem")}
    return {
        "cluster": Files(folder / "ca.crt", pair(folder, "ops"), expired["expired.pem"]),
        "dicom": Files(folder / "dicom-ca.crt", pair(folder, "ops-dicom"), expired["dicom-expired.pem"]),
    }


def endpoints(archives: ArchivePair) -> dict[Speaks, Endpoint]:
    place = archives.places["arc1"]
    return {
        Speaks.DICOM: Endpoint("arc1", Speaks.DICOM, "127.0.0.1", place.dicom),
        Speaks.ARCHIVE: Endpoint("arc1", Speaks.ARCHIVE, place.address, HTTPS),
        Speaks.POSTGRES: Endpoint("vip", Speaks.POSTGRES, archives.database, layout.PORT_POSTGRES),
    }


def not_ok(rows: dict[str, tls.Row]) -> dict[str, str]:
    return {name: f"{r.verdict}: {r.seen}" for name, r in rows.items() if r.verdict is not Verdict.OK}


@pytest.mark.parametrize("speaks", [Speaks.DICOM, Speaks.ARCHIVE])
def test_what_is_rendered_refuses_all_that_it_must(
    archives: ArchivePair, tmp_path: Path, speaks: Speaks
) -> None:
    rows = checked(files(archives), [endpoints(archives)[speaks]], tmp_path / "own")
    assert not_ok(rows) == {}
    assert len(rows) == len(tls.offers(speaks))
    good = rows[f"arc1 {speaks} tls1.3"].seen
    assert (good.outcome, good.tls) == (Outcome.SERVED, "TLSv1.3")
    assert "until" in good.certificate


def test_what_is_said_names_the_reason(archives: ArchivePair, tmp_path: Path) -> None:
    rows = checked(files(archives), [endpoints(archives)[Speaks.DICOM]], tmp_path / "own")
    said = {str(r.seen.offer): r.seen.detail for r in rows.values()}
    assert "called AE title" in said["wrong-called-aet"]
    assert "calling AE title" in said["wrong-calling-aet"]
    assert "protocol version" in said["tls1.0"]


def test_without_our_openssl_conf_orthanc_takes_old_tls_and_that_is_found(
    archives: ArchivePair, tmp_path: Path
) -> None:
    """Debian 12's Orthanc as it is: the very hole that the rendered OPENSSL_CONF closes."""
    daemon, place = archives.daemons["orthanc-arc1"], archives.places["arc1"]
    environment = daemon.options["env"]
    daemon.options["env"] = {k: v for k, v in environment.items() if k != "OPENSSL_CONF"}
    daemon.stop()
    try:
        daemon.start()
        wait_until("Orthanc listens", lambda: listens("127.0.0.1", place.dicom), 60)
        rows = checked(files(archives), [endpoints(archives)[Speaks.DICOM]], tmp_path / "own")
    finally:
        daemon.options["env"] = environment
        daemon.stop()
        daemon.start()
        wait_until("Orthanc listens", lambda: listens("127.0.0.1", place.dicom), 60)
    weak = {str(r.seen.offer): r.seen.tls for r in rows.values() if r.verdict is Verdict.WEAK}
    assert weak == {"tls1.0": "TLSv1", "tls1.1": "TLSv1.1"}


def test_a_server_that_is_down_proves_nothing(archives: ArchivePair, tmp_path: Path) -> None:
    down = Endpoint("arc9", Speaks.DICOM, "127.0.0.1", 1)
    rows = checked(files(archives), [down], tmp_path / "own")
    assert {r.verdict for r in rows.values()} == {Verdict.UNPROVEN}


class _Anything(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def server(context: ssl.SSLContext | None) -> Iterator[Endpoint]:
    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass

        def get_request(self) -> object:
            raw, address = super().get_request()
            raw.settimeout(3)
            return (context.wrap_socket(raw, server_side=True) if context else raw), address

    listening = Server(("127.0.0.1", 0), _Anything)
    threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield Endpoint("any", Speaks.METRICS, "127.0.0.1", listening.server_port)
    finally:
        listening.shutdown()
        listening.server_close()


def lax(ca: TestCa) -> ssl.SSLContext:
    """TLS as servers of long ago had it: every version, no client certificate asked for."""
    issued = ca.issue("lax", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.cert, issued.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    return context


@pytest.fixture
def ca(tmp_path: Path) -> TestCa:
    return TestCa(tmp_path)


def of(ca: TestCa) -> dict[str, Files]:
    own, late = ca.issue("own"), ca.issue("late", days=-0.5)
    found = Files(ca.crt, Pair(own.cert, own.key), Pair(late.cert, late.key))
    return {"cluster": found, "dicom": found}


def test_a_server_that_takes_everything_is_found_weak_in_everything(ca: TestCa, tmp_path: Path) -> None:
    with server(lax(ca)) as endpoint:
        rows = checked(of(ca), [endpoint], tmp_path / "own")
    weak = {str(r.seen.offer) for r in rows.values() if r.verdict is Verdict.WEAK}
    assert weak == {"no-certificate", "foreign-ca", "expired", "tls1.0", "tls1.1"}
    assert {str(r.seen.offer) for r in rows.values() if r.verdict is Verdict.OK} == {
        "plain",
        "tls1.2",
        "tls1.3",
    }


def test_a_server_without_tls_is_weak_and_proves_nothing_else(ca: TestCa, tmp_path: Path) -> None:
    with server(None) as endpoint:
        rows = checked(of(ca), [endpoint], tmp_path / "own")
    assert rows["any metrics plain"].verdict is Verdict.WEAK
    assert {r.verdict for r in rows.values() if r.seen.offer is not Offer.PLAIN} == {Verdict.UNPROVEN}


def test_a_server_with_anothers_certificate_is_not_proven(ca: TestCa, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with server(lax(TestCa(tmp_path / "other"))) as endpoint:
        rows = checked(of(ca), [endpoint], tmp_path / "own")
    assert "certificate" in rows["any metrics tls1.3"].seen.detail
    assert rows["any metrics tls1.3"].verdict is Verdict.UNPROVEN
    assert rows["any metrics tls1.0"].verdict is Verdict.WEAK


def test_the_controllers_metrics(ca: TestCa, tmp_path: Path) -> None:
    server = ca.issue("node", ["127.0.0.1"])
    exporter = Exporter(Board({"fast": 5.0}), Instruments(), demo_spec())
    try:
        tls = ServerTls(ca.crt, server.cert, server.key)
        [port] = exporter.start(Listener("127.0.0.1", 0, tls))
        rows = checked(of(ca), [Endpoint("wit1", Speaks.METRICS, "127.0.0.1", port)], tmp_path / "own")
    finally:
        exporter.stop()
    assert not_ok(rows) == {}


def test_a_frozen_server_is_unknown_and_in_time(ca: TestCa, tmp_path: Path) -> None:
    import socket
    import time

    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = Endpoint("any", Speaks.METRICS, "127.0.0.1", silent.getsockname()[1])
        began = time.monotonic()
        rows = checked(of(ca), [endpoint], tmp_path / "own", within=0.3)
    assert {r.seen.outcome for r in rows.values()} == {Outcome.UNKNOWN}
    assert time.monotonic() - began < 15
