"""Certificates and keys as files of a node, and what a service needs when one of them was renewed."""

from __future__ import annotations

from collections.abc import Iterator

from hactl import layout
from hactl.pki.expired import FOLDER, NAMES
from hactl.pki.files import read_private
from hactl.pki.store import Store
from hactl.pki.uses import OPS, certificates
from hactl.render.targets import OnChange, RenderedFile
from hactl.spec.model import ClusterSpec

# etcd and Prometheus read their certificates at each handshake, libpq at each connection; Patroni hands a
# reload on to PostgreSQL; Orthanc reads its own only when it starts.
_NOTHING: tuple[None, OnChange] = (None, "none")
ON_RENEWAL: dict[str, tuple[str, OnChange]] = {
    "patroni": ("patroni.service", "reload"),
    "postgres": ("patroni.service", "reload"),
    "orthanc": ("orthanc.service", "restart"),
    "nginx": ("nginx.service", "reload"),
}
# Whom it trusts, etcd reads when it starts; it changes only while a CA is being replaced. Orthanc's database
# plugin reads it at each connection.
ON_NEW_CA: dict[str, OnChange] = {
    "etcd.service": "restart",
    "patroni.service": "reload",
    "nginx.service": "reload",
}


def files(spec: ClusterSpec, store: Store) -> Iterator[RenderedFile]:
    """Each node's /etc/hactl/pki.

    Raises:
        Refused: the state folder lacks one, or it is open to others.

    """
    for node in spec.nodes:
        yield RenderedFile(
            node=node, path=str(layout.PKI / "ca.crt"), content=store.ca.read_text(), component="pki"
        )
    for node in spec.nodes:
        serves = node in spec.archives
        yield RenderedFile(
            node=node, path=str(layout.DICOM_CA), content=store.dicom_ca.read_text(), component="pki",
            unit="orthanc.service" if serves else None, on_change="restart" if serves else "none",
        )  # fmt: skip
    yield from _expired(spec, store)
    for wanted in certificates(spec):
        if wanted.node == OPS:
            continue
        crt, key = store.cert(wanted.node, wanted.use)
        unit, action = ON_RENEWAL.get(wanted.use, _NOTHING)
        place = layout.PKI / wanted.use
        yield RenderedFile(
            node=wanted.node,
            path=f"{place}.crt",
            content=crt.read_text(),
            component="pki",
            on_change=action,
            unit=unit,
        )
        # The action hangs on the certificate: a new key never comes without one.
        yield RenderedFile(
            node=wanted.node, path=f"{place}.key", content=read_private(key).decode(), component="pki",
            mode=wanted.mode, owner=wanted.owner, group=wanted.group, secret=True,
        )  # fmt: skip


def _expired(spec: ClusterSpec, store: Store) -> Iterator[RenderedFile]:
    """What the daily TLS check on the witness shows; where there is none it says so."""
    for name in NAMES.values():
        path = store.state / FOLDER / name
        if path.exists():
            content = read_private(path).decode()
            for node in spec.witnesses:
                yield RenderedFile(
                    node=node, path=str(layout.PKI / name), content=content, component="pki", mode="0600",
                    owner="hactl", group="hactl", secret=True,
                )  # fmt: skip
