"""The exporter over real sockets: who is let in, and what slow, hung and many callers cost."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.metrics import server as server_module
from hactl.metrics.exporter import Exporter
from hactl.metrics.instruments import Instruments
from hactl.metrics.server import CALLERS, Listener
from hactl.metrics.snapshot import Board
from hactl.metrics.tls import ServerTls
from hactl.pki.store import Store
from hactl.ports import Reply
from hactl.view.model import Unknown
from tests.support.people_ca import certificate_authority
from tests.support.pki import initialised, small_spec
from tests.support.servers import program
from tests.support.snapshots import NOW, control, snapshot
from tests.support.views import demo_spec

HERE = "127.0.0.1"


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@contextmanager
def serving(board: Board, *listeners: Listener) -> Iterator[tuple[int, ...]]:
    exporter = Exporter(board, Instruments(), demo_spec())
    try:
        yield exporter.start(*listeners)
    finally:
        exporter.stop()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def board(clock: Clock) -> Board:
    return Board({"fast": 5.0}, monotonic=clock)


@pytest.fixture
def port(board: Board) -> Iterator[int]:
    with serving(board, Listener(HERE, 0)) as [port]:
        yield port


def get(port: int, path: str, accept: str = "") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection(HERE, port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": accept} if accept else {})
        reply = connection.getresponse()
        return reply.status, reply.getheader("Content-Type", ""), reply.read().decode()
    finally:
        connection.close()


def test_ready_says_what_this_controller_does(port: int, board: Board, clock: Clock) -> None:
    assert get(port, "/readyz")[0] == 503
    board.publish(snapshot())
    assert get(port, "/readyz")[::2] == (200, "ready: active\n")
    board.publish(snapshot(holding=False))
    assert get(port, "/readyz")[::2] == (200, "ready: standing by\n")
    board.publish(snapshot(control=control(dcs=Unknown("no majority"))))
    assert get(port, "/readyz")[::2] == (503, "not ready: etcd: no majority\n")
    board.publish(snapshot())
    clock.now += 60
    assert get(port, "/readyz")[::2] == (503, "not ready: last look 60.2 s ago\n")


def test_healthy_means_that_loops_make_progress(port: int, board: Board, clock: Clock) -> None:
    assert get(port, "/healthz")[0] == 200
    clock.now += 6
    assert get(port, "/healthz")[::2] == (503, "loop fast: no progress for 6.0 s\n")
    board.beat("fast")
    assert get(port, "/healthz")[0] == 200


def test_an_unknown_path(port: int) -> None:
    assert get(port, "/")[::2] == (404, "there are: /metrics /healthz /readyz\n")


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
def test_metrics_in_both_formats(port: int, board: Board, accept: str) -> None:
    board.publish(snapshot())
    status, kind, text = get(port, "/metrics", accept)
    assert status == 200
    assert ("openmetrics" in kind) == bool(accept)
    assert 'hactl_lease_remaining_seconds{node="db1"} 2.4\n' in text
    assert 'hactl_failovers_total{reason="primary lost"} 2.0\n' in text


def test_promtool_finds_nothing_to_complain(port: int, board: Board) -> None:
    import subprocess

    promtool = program("promtool", "prometheus")
    board.publish(snapshot())
    text = get(port, "/metrics")[2]
    done = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_scrape_takes_less_than_50_ms(port: int, board: Board) -> None:
    board.publish(snapshot())
    took = []
    for _ in range(20):
        start = time.monotonic()
        assert get(port, "/metrics")[0] == 200
        took.append(time.monotonic() - start)
    assert sorted(took)[len(took) // 2] < 0.05, json.dumps(took)


def test_hung_callers_hold_up_nobody_for_long(
    port: int, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as there are threads, and one more: all are cut off, then the next one is served."""
    monkeypatch.setattr(server_module, "WITHIN", 1.0)
    board.publish(snapshot())
    with ExitStack() as stack:
        for _ in range(CALLERS):
            hung = stack.enter_context(socket.create_connection((HERE, port), timeout=5))
            hung.sendall(b"GET /metrics HTTP/1.1\r\n")
        with pytest.raises((ConnectionError, http.client.HTTPException)):
            get(port, "/healthz")
        time.sleep(2.0)  # the time limit, and the pace at which it is looked at
        assert get(port, "/metrics")[0] == 200


def test_a_caller_that_dribbles_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte now and then never meets a socket's time-out."""
    monkeypatch.setattr(server_module, "WITHIN", 1.0)
    start = time.monotonic()
    with socket.create_connection((HERE, port), timeout=5) as slow, pytest.raises(ConnectionError):
        dribble(slow, within=10)
    assert time.monotonic() - start < 4


def dribble(sock: socket.socket, within: float) -> None:
    end = time.monotonic() + within
    while time.monotonic() < end:
        sock.sendall(b"G")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return initialised(tmp_path_factory.mktemp("pki"), small_spec())


def server_tls(store: Store) -> ServerTls:
    return ServerTls(store.ca, *store.cert("wit1", "metrics"))


def ask(
    store: Store, port: int, node: str = "wit1", use: str = "prometheus", ca: Path | None = None
) -> Reply:
    client = HttpsClient(ca or store.ca, *store.cert(node, use))
    return client.send("GET", f"https://{HERE}:{port}/healthz", within=5)


def test_tls_lets_in_whom_the_cluster_ca_signed(store: Store, board: Board) -> None:
    with serving(board, Listener(HERE, 0, server_tls(store))) as [port]:
        for use in ("prometheus", "hactl"):
            assert ask(store, port, use=use).status == 200
        assert ask(store, port, "ops", "ops").status == 200


def view_ca(folder: Path) -> Path:
    """A CA of the site's own, with certificates of two people: PEM files with key."""
    made = certificate_authority(folder, "site CA")
    for name in ("anna", "emil"):
        made.issue(name)
    return made.ca


def asks(folder: Path, server_ca: Path, port: int, name: str) -> int:
    context = ssl.create_default_context(cafile=str(server_ca))
    context.load_cert_chain(folder / f"{name}.pem")
    connection = http.client.HTTPSConnection(HERE, port, timeout=5, context=context)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    finally:
        connection.close()


def test_people_look_by_certificates_of_another_ca(store: Store, board: Board, tmp_path: Path) -> None:
    ca = view_ca(tmp_path)
    people = {"anna": {"role": "view", "subjects": ["anna"]}}
    spec = small_spec(access={"people": people, "view_ca": str(ca)})
    tls = ServerTls(store.ca, *store.cert("wit1", "metrics"), spec)
    with serving(board, Listener(HERE, 0, tls)) as [port]:
        assert asks(tmp_path, store.ca, port, "anna") == 200
        assert ask(store, port).status == 200, "Prometheus as always"
        with pytest.raises((OSError, http.client.HTTPException)):
            asks(tmp_path, store.ca, port, "emil")
        tls.use(small_spec())
        with pytest.raises((OSError, http.client.HTTPException)):
            asks(tmp_path, store.ca, port, "anna")
        tls.use(spec)
        ca.unlink()
        with pytest.raises((OSError, http.client.HTTPException)):
            asks(tmp_path, store.ca, port, "anna")
        assert ask(store, port).status == 200, "a CA that is not there keeps Prometheus out of nothing"


def test_tls_lets_in_nobody_else(store: Store, board: Board, tmp_path: Path) -> None:
    stranger = initialised(tmp_path, small_spec())
    with serving(board, Listener(HERE, 0, server_tls(store))) as [port]:
        with pytest.raises(Unreachable):  # Untrusted, or the reset came before TLS's alert
            ask(stranger, port, ca=store.ca)
        with pytest.raises(OSError):  # noqa: PT011 - reset, or an alert of TLS 1.3 at the first read
            ask_without_certificate(store, port)
        assert ask(store, port).status == 200


def ask_without_certificate(store: Store, port: int) -> None:
    context = ssl.create_default_context(cafile=str(store.ca))
    with (
        socket.create_connection((HERE, port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=HERE) as tls,
    ):
        tls.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        if not tls.recv(1):
            raise ConnectionResetError


def test_a_renewed_certificate_is_used_at_once(store: Store, board: Board) -> None:
    def serial(port: int) -> str:
        context = HttpsClient(store.ca, *store.cert("wit1", "prometheus")).context()
        with (
            socket.create_connection((HERE, port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=HERE) as tls,
        ):
            return str((tls.getpeercert() or {})["serialNumber"])

    with serving(board, Listener(HERE, 0, server_tls(store))) as [port]:
        before = serial(port)
        store.renew(small_spec(), uses=["metrics"], force=True)
        assert serial(port) != before


def test_one_that_never_speaks_tls_is_cut_off(
    store: Store, board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "WITHIN", 0.5)
    with (
        serving(board, Listener(HERE, 0, server_tls(store))) as [port],
        socket.create_connection((HERE, port), timeout=5) as mute,
    ):
        assert mute.recv(1) == b""
