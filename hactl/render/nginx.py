"""nginx on the archive nodes: TLS, and a short list of what may pass, in front of Orthanc's loopback HTTP."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, Final

from hactl import layout
from hactl.render import engine
from hactl.render.orthanc import ADMIN, OPERATOR
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

UNIT: Final = "nginx.service"


def render(spec: ClusterSpec, secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """A configuration of our own (Debian's stays unused) and a drop-in, for each archive node."""
    for node in spec.archives:
        yield RenderedFile(
            node=node, path=str(layout.NGINX_CONFIG), component="nginx", mode="0600", secret=True,
            content=engine.text("nginx/hactl.conf.j2", **_values(spec, node, secrets)),
            validate=("/usr/sbin/nginx", "-t", "-q", "-c", "%s"), on_change="reload", unit=UNIT,
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.SYSTEMD / f"{UNIT}.d" / "hactl.conf"), component="nginx",
            content=engine.text("nginx/nginx.service.j2", cluster=spec.cluster, config=layout.NGINX_CONFIG),
            on_change="restart", unit=UNIT,
        )  # fmt: skip


def _values(spec: ClusterSpec, node: str, secrets: RenderSecrets) -> dict[str, Any]:
    return {
        "node": node, "cluster": spec.cluster, "pki": layout.PKI, "https_port": layout.PORT_HTTPS,
        "orthanc_port": layout.PORT_ORTHANC_HTTP, "admin": ADMIN,
        "basic_operator": base64.b64encode(f"{OPERATOR}:{secrets.orthanc_ops}".encode()).decode("ascii"),
    }  # fmt: skip
