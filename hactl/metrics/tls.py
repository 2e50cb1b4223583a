"""The exporter's TLS: the node's own certificate; the cluster's machines are let in, and people who view."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hactl.spec.model import ClusterSpec

Peer = Mapping[str, Any]  # as ssl.SSLSocket.getpeercert() has it


class ServerTls:
    """A context that is made again when one of its files has changed: renewal needs no restart.

    Two kinds of certificates are let in: any that the cluster's CA has signed, and those of the spec's
    `access.view_ca` whose common name is a subject of one of its people.
    """

    def __init__(self, ca: Path, cert: Path, key: Path, spec: ClusterSpec | None = None) -> None:
        self._files = (ca, cert, key)
        self._lock = threading.Lock()
        self._stamp: tuple[object, ...] = ()
        self._context: ssl.SSLContext | None = None
        self._own: frozenset[object] = frozenset()
        self._view_ca: Path | None = None
        self._subjects: frozenset[str] = frozenset()
        if spec is not None:
            self.use(spec)

    def use(self, spec: ClusterSpec) -> None:
        """The spec was read again: its people count from the next connection on."""
        with self._lock:
            ca = spec.access.view_ca
            self._view_ca = Path(ca) if ca is not None else None
            self._subjects = frozenset(s for p in spec.access.people.values() for s in p.subjects)
            self._context = None

    def __call__(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError is one) when a file cannot be read or is no certificate."""
        with self._lock:
            stamp = (*(_stamp(f) for f in self._files), self._view_stamp())
            if self._context is None or stamp != self._stamp:
                self._context = self._made()
                self._stamp = stamp
            return self._context

    def lets_in(self, peer: Peer) -> bool:
        """Whether somebody whose certificate was believed may look."""
        with self._lock:
            return peer.get("issuer") in self._own or not self._subjects.isdisjoint(_common_names(peer))

    def _made(self) -> ssl.SSLContext:
        context = _context(*self._files)
        self._own = frozenset(ca["subject"] for ca in context.get_ca_certs())
        if self._view_ca is not None and self._subjects:
            try:
                context.load_verify_locations(cafile=str(self._view_ca))
            except OSError:  # nobody comes in by it; Prometheus must
                return _context(*self._files)
        return context

    def _view_stamp(self) -> object:
        try:
            return _stamp(self._view_ca) if self._view_ca is not None else None
        except OSError:
            return None


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_ino


def _common_names(peer: Peer) -> set[str]:
    """`subject` is a tuple of RDNs, each of pairs."""
    pairs = (pair for rdn in peer.get("subject", ()) for pair in rdn)
    return {str(value) for name, value in pairs if name == "commonName"}


def _context(ca: Path, cert: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cafile=str(ca))
    context.load_cert_chain(cert, key)
    return context
