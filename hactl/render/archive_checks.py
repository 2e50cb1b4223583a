"""What keepalived and systemd run on an archive node, as shell scripts: they work when hactl does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from hactl import layout
from hactl.render import engine
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import Component, RenderedFile
from hactl.spec.model import ClusterSpec

# check-storage belongs to orthanc: its unit needs it before keepalived is there.
SCRIPTS: Final[dict[str, Component]] = {
    "check-storage": "orthanc",
    "seal-storage": "orthanc",
    "check-archive": "keepalived",
    "check-archive-index": "keepalived",
    "check-archive-hung": "keepalived",
}
FOLDERS: Final = {"seal-storage": "orthanc"}  # of templates


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:  # noqa: ARG001 - a renderer's shape
    """/usr/local/lib/hactl/check-* of each archive node. They are run as hactl or root and hold no secret."""
    for node in spec.archives:
        for name, component in SCRIPTS.items():
            yield RenderedFile(
                node=node, path=str(layout.LIB / name), component=component, mode="0755",
                content=engine.text(f"{FOLDERS.get(name, 'keepalived')}/{name}.j2", **_values(spec, node)),
                validate=("/bin/sh", "-n", "%s"),
            )  # fmt: skip


def _values(spec: ClusterSpec, node: str) -> dict[str, Any]:
    return {
        "node": node, "cluster": spec.cluster, "address": spec.nodes[node].address, "lib": layout.LIB,
        "others": [other.address for name, other in spec.archives.items() if name != node],
        "storage": spec.archive.storage, "marker": f"{spec.archive.storage}/{layout.STORAGE_MARKER}",
        "http_port": layout.PORT_ORTHANC_HTTP, "dicom_port": layout.PORT_DICOM_TLS,
        "https_port": layout.PORT_HTTPS, "ca": layout.PKI / "ca.crt",
        "cert": layout.PKI / "hactl.crt", "key": layout.PKI / "hactl.key",
    }  # fmt: skip
