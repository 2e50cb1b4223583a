"""Debian 12's packages by role. Deploy installs those that are missing, from the site's mirror."""

from __future__ import annotations

from typing import Final

from hactl.spec.model import Node, Role

EVERYWHERE: Final = ("python3", "python3-venv", "nftables", "iproute2", "sudo", "ca-certificates", "curl")
BY_ROLE: Final[dict[Role, tuple[str, ...]]] = {
    Role.DATABASE: ("postgresql-15", "etcd-server", "etcd-client", "keepalived"),
    Role.WITNESS: ("etcd-server", "etcd-client", "prometheus"),
    Role.ARCHIVE: ("orthanc", "orthanc-postgresql", "orthanc-dicomweb", "nginx-light", "keepalived"),
}


def of(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*EVERYWHERE, *(p for role in node.roles for p in BY_ROLE[role]))))
