"""What the agent of an archive node works with: the packet filter's table, and root's scripts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from hactl import layout
from hactl.render.engine import header, text
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import Component, RenderedFile
from hactl.spec.model import ClusterSpec

PORTS: Final = (layout.PORT_DICOM_TLS, layout.PORT_HTTPS)
RELEASE: Final = layout.LIB / "release-archive"
REDEPLOY: Final = layout.LIB / "redeploy"
REDEPLOY_UNIT: Final = "hactl-redeploy.service"
REDEPLOYED: Final = PurePosixPath("/run/hactl-redeployed")  # what it last did, in a line
# What an archive node's own troubles can come from; certificates and hactl itself are left alone.
REDEPLOYED_COMPONENTS: Final[tuple[Component, ...]] = ("keepalived", "orthanc", "nginx")


def probe_patient(who: str) -> str:
    """The PatientID that is reserved for end-to-end checks; `who`: a node, or `ops`."""
    return f"HACTL-PROBE-{who}"


def render(spec: ClusterSpec, _secrets: RenderSecrets) -> Iterator[RenderedFile]:
    for node in spec.archives:
        head, vip = header(node, spec.cluster), spec.archive_vip
        yield RenderedFile(
            node=node, path=str(layout.ARCHIVE_RULES), component="agent",
            content=text("agent/archive.nft.j2", header=head, ports=PORTS),
            validate=("/usr/sbin/nft", "-c", "-f", "%s"),
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(RELEASE), component="agent", mode="0755",
            content=text(
                "agent/release-archive.j2", header=head, track=layout.ARCHIVE_TRACK,
                drained=layout.STATE / "archive-drain", address=vip.address, vip=vip.address.ip,
                interface=vip.interface,
            ),
            validate=("/bin/sh", "-n", "%s"),
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(REDEPLOY), component="agent", mode="0755",
            content=text(
                "agent/redeploy.j2", header=head, kept=layout.DEPLOYED,
                components=list(REDEPLOYED_COMPONENTS), said=REDEPLOYED,
            ),
        )  # fmt: skip
        yield RenderedFile(
            node=node, path=str(layout.SYSTEMD / REDEPLOY_UNIT), component="agent",
            content=text("agent/hactl-redeploy.service.j2", header=head, node=node, program=REDEPLOY),
        )  # fmt: skip
