"""HTTPS with the cluster's own CA and a client certificate.

The standard library's client, not a larger one: `hactl status` has half a second for everything (docs/adr).
"""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from hactl.adapters.tcp import CONNECT_WITHIN, connect, translated
from hactl.errors import Unreachable
from hactl.ports import NotBelieved, Reply, Untrusted

SPARE_FOR = 60.0  # s: so long the spare certificate is used before the first is tried again
MAX_BODY = 4 * 1024 * 1024  # far above any answer asked for; a server gone mad must not fill the memory


class _Identity:
    """A client certificate on file."""

    def __init__(self, ca: Path, cert: Path, key: Path) -> None:
        self._files = (ca, cert, key)
        self._context: ssl.SSLContext | None = None
        self._read_from: tuple[int, ...] = ()

    def changed(self) -> bool:
        """Since it was read."""
        return self._context is not None and _changed(self._files) != self._read_from

    def uses(self, context: ssl.SSLContext) -> bool:
        return context is self._context

    def context(self) -> ssl.SSLContext:
        now = _changed(self._files)
        if self._context is None or now != self._read_from:
            try:
                self._context, self._read_from = _context(*self._files), now
            except Unreachable:
                if self._context is None:
                    raise
        return self._context


class HttpsClient:
    """Each request has its own connection, so one that hangs holds up nobody. Thread-safe.

    `spare`: another certificate and its key, for when the first cannot be read or is not believed.
    """

    def __init__(self, ca: Path, cert: Path, key: Path, spare: tuple[Path, Path] | None = None) -> None:
        self._own = _Identity(ca, cert, key)
        self._spare = _Identity(ca, *spare) if spare else None
        self._lock = threading.Lock()
        self._spare_until = 0.0
        self._why = ""

    def context(self) -> ssl.SSLContext:
        """Made anew when a file has changed: a process that runs for months sees its certificate renewed.

        While new files do not fit each other (they come one after the other) the old ones are used.
        Raises Unreachable when the CA or the client certificate cannot be read.
        """
        with self._lock:
            if self._spare is None:
                return self._own.context()
            if self._own.changed():
                self._spare_until = 0.0
            if time.monotonic() >= self._spare_until:
                try:
                    return self._own.context()
                except Unreachable as error:
                    self._stand_in(error.message)
            try:
                return self._spare.context()
            except Unreachable:
                self._spare_until = 0.0
                return self._own.context()

    def not_believed(self, shown: ssl.SSLContext, why: str) -> None:
        """The other side refused what was shown: the next connection is made with the other certificate."""
        with self._lock:
            if self._spare is None:
                return
            if self._own.uses(shown):
                self._stand_in(why)
            elif self._spare.uses(shown):
                self._spare_until = 0.0

    def stand_in(self) -> str:
        """Why the spare certificate is in use; empty: it is not."""
        with self._lock:
            return self._why if time.monotonic() < self._spare_until else ""

    def _stand_in(self, why: str) -> None:
        self._spare_until, self._why = time.monotonic() + SPARE_FOR, why

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
        context = self.context()
        with sock, translated(f"{host}:{port}"):
            sock.settimeout(within)
            try:
                with context.wrap_socket(sock, server_hostname=host) as tls:
                    path = parts.path + (f"?{parts.query}" if parts.query else "")
                    return _exchange(tls, host, (method, path, body, headers or {}))
            except http.client.HTTPException as error:
                raise Unreachable(f"{host}:{port}: no proper HTTP answer ({type(error).__name__})") from error
            except ssl.SSLError as error:
                problem = tls_problem(f"{host}:{port}", error)
                if isinstance(problem, NotBelieved):
                    self.not_believed(context, problem.message)
                raise problem from error


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
        return NotBelieved(f"{what}: it refuses this machine's certificate: {reason}")
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
