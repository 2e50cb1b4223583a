"""The exporter's TLS: the node's own server certificate, and nobody without one of the cluster's CA."""

from __future__ import annotations

import ssl
import threading
from pathlib import Path


class ServerTls:
    """A context that is made again when one of its files has changed: renewal needs no restart."""

    def __init__(self, ca: Path, cert: Path, key: Path) -> None:
        self._files = (ca, cert, key)
        self._lock = threading.Lock()
        self._stamp: tuple[tuple[int, int], ...] = ()
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one) when a file cannot be read or is no certificate."""
        with self._lock:
            stamp = tuple((f.stat().st_mtime_ns, f.stat().st_ino) for f in self._files)
            if self._context is None or stamp != self._stamp:
                self._context = _context(*self._files)
                self._stamp = stamp
            return self._context


def _context(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=str(ca))
    context.load_cert_chain(cert, key)
    return context
