"""Helpers for tests of the PKI: specs, a clock that tests move, TLS servers and clients on loopback."""

from __future__ import annotations

import atexit
import contextlib
import functools
import shutil
import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hactl.pki import ca
from hactl.pki.due import State
from hactl.pki.pairs import Pair
from hactl.pki.store import Store
from hactl.pki.uses import DICOM_CA, CaKind, certificates
from hactl.spec.model import ClusterSpec
from tests.support.specs import edited

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def sample_spec(**changes: Any) -> ClusterSpec:
    """The documentation's installation; `changes` replace whole top-level keys."""
    return ClusterSpec.model_validate({**edited({}), **changes})


def small_spec(**changes: Any) -> ClusterSpec:
    """One node only: what crashes at every step is tried often."""
    one = {"wit1": {"address": "192.0.2.13", "roles": ["witness"]}}
    return sample_spec(**{"nodes": one, **changes})


def database_spec() -> ClusterSpec:
    """The database nodes of the sample: no RSA keys, which take long to make."""
    nodes = sample_spec().model_dump(mode="json")["nodes"]
    return sample_spec(nodes={n: nodes[n] for n in ("db1", "db2")})


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


def initialised(folder: Path, spec: ClusterSpec | None = None, clock: Clock | None = None) -> Store:
    store = Store(folder / "state", clock) if clock else Store(folder / "state")
    store.init(spec or sample_spec())
    return store


@functools.cache
def _first(small: bool, now: datetime, _rsa_bits: int) -> Path:  # noqa: FBT001 - keys of the cache
    folder = Path(tempfile.mkdtemp(prefix="hactl-pki-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    initialised(folder, small_spec() if small else sample_spec(), Clock(now))
    return folder / "state"


def ready(folder: Path, clock: Clock, *, small: bool = True) -> Store:
    """A copy of a store that was initialised once at the clock's time: making keys takes time."""
    shutil.copytree(_first(small, clock.now, ca.RSA_BITS), folder / "state")
    return Store(folder / "state", clock)


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file below, by its name."""
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def states(store: Store, **changes: object) -> set[State]:
    """What `show` finds of the small installation, with `changes` of its spec."""
    return {i.state for i in store.show(small_spec(**changes))}


def age(store: Store, spec: ClusterSpec) -> None:
    """Make it the state folder of an installation of before there was a CA for DICOM."""
    for wanted in certificates(spec):
        pair = Pair(store.state / "certs" / wanted.node, wanted.use)
        if wanted.ca is DICOM_CA and pair.crt.exists():
            pair.issue(store.authority.authority(), wanted, store._clock())
    for name in ("dicom.crt", "dicom.key"):
        (store.state / "ca" / name).unlink()


def bundle(store: Store, kind: CaKind) -> Path:
    return store.dicom_ca if kind is DICOM_CA else store.ca


def ca_of(node: str, use: str) -> CaKind:
    """Which CA the table of uses gives it."""
    return next(c.ca for c in certificates(sample_spec()) if (c.node, c.use) == (node, use))


def server_context(store: Store, node: str, use: str) -> ssl.SSLContext:
    """A server that demands a client certificate of its own CA, checked as strictly as OpenSSL can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*store.cert(node, use))
    context.load_verify_locations(bundle(store, ca_of(node, use)))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


def client_context(
    store: Store, cert: tuple[Path, Path] | None = None, *, ca: Path | None = None
) -> ssl.SSLContext:
    """Trusts the cluster's CA, or `ca`."""
    context = ssl.create_default_context(cafile=str(ca or store.ca))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if cert:
        context.load_cert_chain(*cert)
    return context


@contextlib.contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """Answers each connection with the client's CN; yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)

    def serve() -> None:
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), plain:
                plain.settimeout(5)
                with context.wrap_socket(plain, server_side=True) as tls:
                    tls.sendall(_cn(tls.getpeercert()).encode())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _cn(certificate: Any) -> str:
    return str(dict(part[0] for part in certificate["subject"])["commonName"])


def ask(port: int, context: ssl.SSLContext, name: str) -> str:
    """The CN by which the server knows us; it must prove that it is `name`. Raises OSError (ssl.SSLError)."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
    ):
        answer = tls.recv(100).decode()
        if not answer:
            raise ConnectionResetError("closed without an answer")
        return answer
