"""HTTPS with the cluster's own CA and a client certificate.

The standard library's client, not a larger one: `hactl status` has half a second for everything (docs/adr).
"""

from __future__ import annotations

import http.client
import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hactl.adapters.tcp import CONNECT_WITHIN, connect, translated
from hactl.errors import Unreachable
from hactl.ports import Reply, Untrusted

MAX_BODY = 4 * 1024 * 1024  # far above any answer asked for; a server gone mad must not fill the memory


class HttpsClient:
    """Each request has its own connection, so one that hangs holds up nobody. Thread-safe."""

    def __init__(self, ca: Path, cert: Path, key: Path) -> None:
        self._files = (ca, cert, key)
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._read_from: tuple[int, ...] = ()

    def context(self) -> ssl.SSLContext:
        """Made anew when a file has changed: a process that runs for months sees its certificate renewed.

        While new files do not fit each other (they come one after the other) the old ones are used.
        Raises Unreachable when the CA or the client certificate cannot be read.
        """
        with self._lock:
            now = _changed(self._files)
            if self._context is None or now != self._read_from:
                try:
                    self._context, self._read_from = _context(*self._files), now
                except Unreachable:
                    if self._context is None:
                        raise
            return self._context

    def send(
        self,
        method: str,
        url: str,
        *,
        within: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """One request, at most about `within` seconds (its socket's time-out).

        Raises:
            Silent, PortClosed: as `connect`.
            Unreachable: no TLS, a certificate of somebody else, no HTTP, or no answer in time.

        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        sock = connect(host, port, within=min(within, CONNECT_WITHIN))
        with sock, translated(f"{host}:{port}"):
            sock.settimeout(within)
            try:
                with self.context().wrap_socket(sock, server_hostname=host) as tls:
                    path = parts.path + (f"?{parts.query}" if parts.query else "")
                    return _exchange(tls, host, (method, path, body, headers or {}))
            except http.client.HTTPException as error:
                raise Unreachable(f"{host}:{port}: no proper HTTP answer ({type(error).__name__})") from error
            except ssl.SSLError as error:
                raise tls_problem(f"{host}:{port}", error) from error


class _Connected(http.client.HTTPConnection):
    """An HTTP connection over a socket that is already there."""

    def __init__(self, host: str, sock: ssl.SSLSocket) -> None:
        super().__init__(host)
        self.sock = sock


def _exchange(tls: ssl.SSLSocket, host: str, request: tuple[str, str, bytes, Mapping[str, str]]) -> Reply:
    method, path, body, headers = request
    connection = _Connected(host, tls)
    connection.request(method, path, body=body or None, headers={"Connection": "close", **headers})
    response = connection.getresponse()
    return Reply(response.status, response.read(MAX_BODY))


def tls_problem(what: str, error: ssl.SSLError) -> Unreachable:
    if isinstance(error, ssl.SSLCertVerificationError):
        return Untrusted(f"{what}: its certificate is not trusted: {error.verify_message}")
    reason = (error.reason or "the connection was closed").replace("_", " ").lower()
    if "alert" in reason:  # the other side says why it hung up
        return Untrusted(f"{what}: it refuses this machine's certificate: {reason}")
    return Unreachable(f"{what}: TLS failed: {reason}")


def _changed(files: tuple[Path, ...]) -> tuple[int, ...]:
    """What differs after each renewal; empty when a file is not there, which _context reports."""
    try:
        return tuple(stat.st_mtime_ns ^ stat.st_ino for stat in (file.stat() for file in files))
    except OSError:
        return ()


def _context(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or str(error)
        problem = f"cannot use the client certificate {cert}: {why}"
        raise Unreachable(problem, hint="hactl pki init") from error
    return context
