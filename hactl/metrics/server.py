"""`/metrics`, `/healthz` and `/readyz` over HTTP, plain or with TLS, for a bounded number of callers at once.

A slow, hung or hostile caller costs one of a few threads for a few seconds, and never the controller's loops:
they only leave their snapshot, and nothing here asks the network for anything.
"""

from __future__ import annotations

import http.server
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Protocol

from hactl.errors import StepFailed

CALLERS: Final = 8  # at once and per listener; Prometheus, an operator, and some to spare
WITHIN: Final = 5.0  # the whole of one call, TLS handshake included; also Prometheus's scrape time-out here
_POLL: Final = 0.5


@dataclass(frozen=True)
class Answer:
    status: HTTPStatus
    content_type: str
    body: bytes


Route = Callable[[str], Answer]  # from the Accept header


class Tls(Protocol):
    """Asked at each connection: renewed certificates count at once."""

    def __call__(self) -> ssl.SSLContext: ...

    def lets_in(self, peer: Mapping[str, Any]) -> bool: ...


@dataclass(frozen=True)
class Listener:
    """Where to listen; without `tls` in plain, for the loopback only."""

    host: str
    port: int
    tls: Tls | None = None


class _Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 16

    def __init__(self, listener: Listener, routes: dict[str, Route]) -> None:
        self.routes = routes
        self._tls = listener.tls
        self._slots = threading.BoundedSemaphore(CALLERS)
        self._open: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        super().__init__((listener.host, listener.port), _Handler)

    def server_bind(self) -> None:
        """As HTTPServer's, without its reverse look-up of the address: a dead resolver must not delay it."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        with self._lock:
            self._open[request] = time.monotonic() + WITHIN
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(WITHIN)
            with self._wrapped(request) as sock:
                self.finish_request(sock, client_address)
        except OSError:
            pass  # the caller hung up, was late, or is nobody whom TLS lets in: it knows
        finally:
            with self._lock:
                self._open.pop(request, None)
            self.shutdown_request(request)
            self._slots.release()

    def _wrapped(self, request: socket.socket) -> socket.socket:
        if self._tls is None:
            return request.dup()
        # Over a duplicate: the deadline below shuts the connection down by the original, which stays valid.
        sock = self._tls().wrap_socket(request.dup(), server_side=True)
        if not self._tls.lets_in(sock.getpeercert() or {}):
            sock.close()
            raise PermissionError("a certificate of nobody who may look")
        return sock

    def service_actions(self) -> None:
        """Between two connections, at least each `_POLL`: whoever takes too long in all is cut off.

        A socket's time-out is not enough: a caller that sends a byte now and then never meets it.
        """
        with self._lock:
            late = [sock for sock, until in self._open.items() if time.monotonic() > until]
        for sock in late:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # just gone by itself


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.0"  # one answer a connection: an idle caller holds no thread
    server_version, sys_version = "hactl", ""

    def do_GET(self) -> None:
        route = self.server.routes.get(self.path.partition("?")[0])
        if route is None:
            known = " ".join(self.server.routes)
            answer = Answer(HTTPStatus.NOT_FOUND, "text/plain", f"there are: {known}\n".encode())
        else:
            answer = route(self.headers.get("Accept", ""))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Silent: a scrape each 10 s is no news."""


class HttpServer:
    """All listeners of one process, each in a thread of its own."""

    def __init__(self, routes: dict[str, Route]) -> None:
        self._routes = routes
        self._servers: list[_Server] = []

    def start(self, listeners: tuple[Listener, ...]) -> tuple[int, ...]:
        """Listen on each. Returns the ports: the kernel's choice where 0 was asked for.

        Raises:
            StepFailed: an address or a port cannot be had; those before it in the list are served.

        """
        return tuple(self._start(listener) for listener in listeners)

    def _start(self, listener: Listener) -> int:
        try:
            server = _Server(listener, self._routes)
        except OSError as error:
            where = f"{listener.host}:{listener.port}"
            raise StepFailed(f"cannot listen on {where} for metrics: {error.strerror}") from error
        self._servers.append(server)
        name = f"metrics {listener.host}"
        threading.Thread(target=server.serve_forever, args=(_POLL,), name=name, daemon=True).start()
        return server.server_port

    def stop(self) -> None:
        """Stop listening; calls under way end by themselves within `WITHIN`."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()
