"""The prober against servers that keep connections, that close them, that say no, and that say nothing."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hactl.adapters.http import HttpsClient
from hactl.adapters.prober import TlsProber
from hactl.errors import Unreachable
from tests.support.tls import TestCa


class Served(http.server.ThreadingHTTPServer):
    daemon_threads = True
    connections = 0
    status = 200
    resumed = 0
    delay = 0.0

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what these tests are about."""

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()


def _handler(version: str) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = version

        def do_GET(self) -> None:
            server: Any = self.server
            server.resumed += bool(self.connection.session_reused)
            time.sleep(server.delay)
            self.send_response(server.status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None: ...

    return Handler


@contextmanager
def served(folder: Path, version: str) -> Iterator[tuple[Served, TlsProber]]:
    ca = TestCa(folder)
    cert = ca.issue("node", ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert.cert, cert.key)
    context.load_verify_locations(ca.crt)
    context.verify_mode = ssl.CERT_REQUIRED
    server = Served(("127.0.0.1", 0), _handler(version))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    client = HttpsClient(ca.crt, cert.cert, cert.key)
    prober = TlsProber(client.context, "127.0.0.1", server.server_address[1], "/liveness")
    try:
        yield server, prober
    finally:
        prober.close()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_that_keeps_connections_is_asked_over_one(tmp_path: Path) -> None:
    with served(tmp_path, "HTTP/1.1") as (server, prober):
        assert [prober.ask(5) for _ in range(5)] == [200] * 5
        assert server.connections == 1


def test_one_that_closes_them_gets_new_ones_with_the_session_resumed(tmp_path: Path) -> None:
    with served(tmp_path, "HTTP/1.0") as (server, prober):
        assert [prober.ask(5) for _ in range(5)] == [200] * 5
        assert server.connections == 5
        assert server.resumed >= 3


def test_any_status_is_a_sign_of_life(tmp_path: Path) -> None:
    with served(tmp_path, "HTTP/1.1") as (server, prober):
        server.status = 503
        assert prober.ask(5) == 503


def test_no_answer_in_time_is_none_and_the_next_question_is_a_new_one(tmp_path: Path) -> None:
    with served(tmp_path, "HTTP/1.1") as (server, prober):
        prober.ask(5)
        server.delay = 1.0
        began = time.monotonic()
        with pytest.raises(Unreachable):
            prober.ask(0.2)
        assert time.monotonic() - began < 0.8
        server.delay = 0.0
        assert prober.ask(5) == 200


def test_a_kept_connection_that_the_server_closed_meanwhile_is_no_miss(tmp_path: Path) -> None:
    with served(tmp_path, "HTTP/1.1") as (_, prober):
        prober.ask(5)
        link = prober._link
        assert link is not None
        link.sock.shutdown(socket.SHUT_RDWR)
        assert prober.ask(5) == 200


def test_a_stranger_is_no_sign_of_life(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with served(tmp_path / "one", "HTTP/1.1") as (server, _):
        other = TestCa(tmp_path / "two")
        cert = other.issue("node", ["127.0.0.1"])
        client = HttpsClient(other.crt, cert.cert, cert.key)
        with pytest.raises(Unreachable):
            TlsProber(client.context, "127.0.0.1", server.server_address[1], "/").ask(5)


def test_a_closed_port_and_a_silent_one(tmp_path: Path) -> None:
    ca = TestCa(tmp_path)
    cert = ca.issue("node", ["127.0.0.1"])
    client = HttpsClient(ca.crt, cert.cert, cert.key)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Unreachable):
            TlsProber(client.context, "127.0.0.1", port, "/").ask(0.2)
    with pytest.raises(Unreachable):
        TlsProber(client.context, "127.0.0.1", port, "/").ask(0.2)


def test_it_does_not_grow(tmp_path: Path) -> None:
    """Python 3.11 leaks a TLS session each time that one is read."""

    def pages() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    with served(tmp_path, "HTTP/1.0") as (_, prober):
        for _ in range(100):
            prober.ask(5)
        before = pages()
        for _ in range(200):
            prober.ask(5)
        assert (pages() - before) * 4096 < 600_000  # with the leak: 1.2 MB and more
