"""One small question over mutual TLS, again and again: whether the program behind a port still answers."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from hactl.adapters.tcp import connect, translated
from hactl.errors import Unreachable

REMEMBER: Final = 60.0  # seconds between two sessions kept; one is good for as many connections as are made


class TlsProber:
    """GET one path. Any HTTP answer is a sign of life, whatever its status. Each thread needs its own.

    The connection is kept where the server allows it (etcd does; Patroni closes after each answer); where it
    does not, the TLS session is resumed, which spares both sides the signatures of a full handshake.
    """

    def __init__(self, context: Callable[[], ssl.SSLContext], address: str, port: int, path: str) -> None:
        self._context, self._where, self._path = context, (address, port), path
        self._link: http.client.HTTPConnection | None = None
        self._session: tuple[ssl.SSLContext, ssl.SSLSession] | None = None
        self._remembered = float("-inf")

    def ask(self, within: float) -> int:
        """The answer's HTTP status. All together at most about `within` seconds.

        Raises:
            Unreachable: no answer in time, or what answers is not the cluster's.

        """
        end = time.monotonic() + within
        what = f"{self._where[0]}:{self._where[1]}"
        if self._link is not None and (status := self._kept(end)) is not None:
            return status
        with translated(what):
            try:
                self._link = self._open(end)
                return self._exchange(end)
            except (http.client.HTTPException, ssl.SSLError) as error:
                self.close()
                self._session = None
                raise Unreachable(f"{what}: {type(error).__name__}") from error
            except OSError:
                self.close()
                raise

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _kept(self, end: float) -> int | None:
        """Ask over the connection from last time; None: the server has closed it, a new one may do better.

        Raises:
            Unreachable: no answer in time; a new connection would have none left.

        """
        try:
            return self._exchange(end)
        except TimeoutError as error:
            self.close()
            raise Unreachable(f"{self._where[0]}:{self._where[1]}: no answer in time") from error
        except (http.client.HTTPException, OSError):
            self.close()
            return None

    def _open(self, end: float) -> http.client.HTTPConnection:
        address, port = self._where
        sock = connect(address, port, within=_left(end))
        try:
            sock.settimeout(_left(end))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = self._context()
            session = self._session[1] if self._session and self._session[0] is context else None
            tls = context.wrap_socket(sock, server_hostname=address, session=session)
        except BaseException:
            sock.close()
            raise
        link = http.client.HTTPConnection(address, port)
        link.sock = tls
        return link

    def _exchange(self, end: float) -> int:
        link = self._link
        if link is None:
            raise ConnectionResetError("no connection")
        tls = link.sock
        tls.settimeout(_left(end))
        link.request("GET", self._path)
        response = link.getresponse()
        self._remember(tls)  # before the answer is read: then it is gone
        response.read(65536)
        if response.will_close or not response.isclosed():
            self.close()
        return response.status

    def _remember(self, tls: object) -> None:
        """Keep the session for the next connection, seldom: reading it leaks 6 KB in Python 3.11."""
        now = time.monotonic()
        if not isinstance(tls, ssl.SSLSocket) or tls.session_reused or now - self._remembered < REMEMBER:
            return
        session = tls.session
        if session is not None:
            self._session, self._remembered = (tls.context, session), now


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
