"""HTTP connections, with TLS mostly, that stay open, for what is asked several times a second.

A TLS handshake costs a client some milliseconds of processor time and two round trips. Each request has a
deadline over all of it, also when the answer trickles in.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from hactl.adapters.http import HttpsClient, tls_problem
from hactl.adapters.tcp import connect, translated
from hactl.errors import Unreachable
from hactl.ports import MaybeDone, NotBelieved, Reply

MAX_BODY = 16 * 1024 * 1024  # far above any answer: etcd's whole journal is 2 MB
MAX_IDLE = 4  # connections kept for threads that come at the same time


class KeepAlive:
    """One server. Thread-safe: each request has a connection to itself; idle ones are used again."""

    def __init__(self, base: str, files: HttpsClient | None) -> None:
        """`files` None: plain HTTP."""
        parts = urlsplit(base)
        self.host, self.port = parts.hostname or "", parts.port or (443 if files else 80)
        self.what = f"{self.host}:{self.port}"
        self._files = files
        self._lock = threading.Lock()
        self._idle: list[socket.socket] = []

    def post(self, path: str, body: bytes, *, connected_by: float, answered_by: float) -> Reply:
        """One request; both times are of time.monotonic.

        Raises:
            Unreachable: nothing was sent (or not all, so the server cannot have acted on it).
            MaybeDone: sent, and no proper answer came in time.

        """
        tls = self._take() or self._connect(connected_by)
        keep = False
        try:
            with self._refusals(tls), _spoken(self.what):
                _left(tls, answered_by)
                tls.sendall(post_request(path, self.what, body))
            reply, keep = self._answer(tls, answered_by)
            return reply
        finally:
            self._give_back(tls, keep=keep)

    def get(self, path: str, *, by: float, accept: str = "") -> Reply:
        """One question, which changes nothing. A kept connection that has just died is replaced once.

        Raises:
            Silent, PortClosed, Untrusted, Unreachable: no answer by then (time.monotonic), or no proper one.

        """
        kept = self._take()
        if kept is not None:
            try:
                return self._got(kept, path, by, accept)
            except MaybeDone:
                if time.monotonic() >= by:
                    raise
        return self._got(self._connect(by), path, by, accept)

    def _got(self, tls: socket.socket, path: str, by: float, accept: str) -> Reply:
        keep, wanted = False, f"Accept: {accept}\r\n" if accept else ""
        try:
            try:
                with _spoken(self.what):
                    _left(tls, by)
                    tls.sendall(f"GET {path} HTTP/1.1\r\nHost: {self.what}\r\n{wanted}\r\n".encode())
            except Unreachable as error:
                raise MaybeDone(error.message) from error
            reply, keep = self._answer(tls, by)
            return reply
        finally:
            self._give_back(tls, keep=keep)

    def _connect(self, by: float) -> socket.socket:
        if self._files is None:
            return connect(self.host, self.port, within=max(0.001, by - time.monotonic()))
        return self.connect(by)

    def connect(self, by: float) -> ssl.SSLSocket:
        """A new connection with TLS. Raises Silent, PortClosed, Untrusted, Unreachable."""
        if self._files is None:
            raise Unreachable(f"{self.what}: it is to be asked without TLS")
        context = self._files.context()
        sock = connect(self.host, self.port, within=max(0.001, by - time.monotonic()))
        with (
            sock,
            self._told(self._files, context),
            _spoken(self.what),
        ):  # once wrapped, the connection is the TLS socket's, and `sock` empty
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _left(sock, by)
            return context.wrap_socket(sock, server_hostname=self.host)

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for tls in idle:
            tls.close()

    def _take(self) -> socket.socket | None:
        """An idle connection that the server has not closed meanwhile, as after a restart."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                tls = self._idle.pop()
            poll = select.poll()
            poll.register(tls, select.POLLIN)
            if not poll.poll(0):
                return tls
            tls.close()

    def _give_back(self, tls: socket.socket, *, keep: bool) -> None:
        with self._lock:
            if keep and len(self._idle) < MAX_IDLE:
                self._idle.append(tls)
                return
        tls.close()

    def _refusals(self, link: socket.socket) -> contextlib.AbstractContextManager[None]:
        """With TLS 1.3 a client's certificate is refused after the handshake, in place of an answer."""
        if self._files is None or not isinstance(link, ssl.SSLSocket):
            return contextlib.nullcontext()
        return self._told(self._files, link.context)

    @contextlib.contextmanager
    def _told(self, files: HttpsClient, shown: ssl.SSLContext) -> Iterator[None]:
        try:
            yield
        except NotBelieved as error:
            files.not_believed(shown, error.message)
            raise

    def _answer(self, tls: socket.socket, by: float) -> tuple[Reply, bool]:
        try:
            with self._refusals(tls), _spoken(self.what):
                response = http.client.HTTPResponse(cast("socket.socket", _Source(tls, by)), method="POST")
                response.begin()
                reply = Reply(response.status, response.read(MAX_BODY))
                return reply, response.isclosed() and not response.will_close
        except Unreachable as error:
            raise MaybeDone(error.message) from error


@contextlib.contextmanager
def _spoken(what: str) -> Iterator[None]:
    """All that can go wrong on a connection, in this project's words."""
    with translated(what):
        try:
            yield
        except ssl.SSLError as error:
            raise tls_problem(what, error) from error
        except http.client.HTTPException as error:
            raise Unreachable(f"{what}: no proper HTTP answer ({type(error).__name__})") from error


class _Source:
    """What HTTPResponse wants of a socket: a file to read from, each read with what is left of the time."""

    def __init__(self, tls: socket.socket, by: float) -> None:
        self._raw = _Timed(tls, by)

    def makefile(self, mode: str, *_: Any) -> io.BufferedReader:  # noqa: ARG002 - the socket's signature
        return io.BufferedReader(self._raw)


class _Timed(io.RawIOBase):
    def __init__(self, tls: socket.socket, by: float) -> None:
        super().__init__()
        self._tls, self._by = tls, by

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        _left(self._tls, self._by)
        return self._tls.recv_into(buffer)


def _left(sock: socket.socket, by: float) -> None:
    """Give a socket what is left of the time for its next call. Raises TimeoutError when nothing is."""
    left = by - time.monotonic()
    if left <= 0:
        raise TimeoutError
    sock.settimeout(left)


def post_request(path: str, host: str, body: bytes) -> bytes:
    """Head and body in one piece: two would wait for each other (Nagle's algorithm, delayed answers)."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
