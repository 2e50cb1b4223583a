"""The operator's pgpass file, so that no connection string holds a password. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hactl.layout import PORT_POSTGRES
from hactl.spec.model import ClusterSpec

MONITOR: Final = "hactl_monitor"
PROBE: Final = "hactl_probe"


def text(spec: ClusterSpec, passwords: Mapping[str, str]) -> str:
    """One line for each address of the database (VIP first, then the nodes) and role."""
    hosts = [str(spec.vips.database.address.ip), *(str(n.address) for n in spec.databases.values())]
    roles = ((spec.database.name, "app"), (MONITOR, "monitor"), (PROBE, "probe"))
    lines = (line(host, role, passwords[name]) for host in hosts for role, name in roles)
    return "".join(lines)


def line(host: str, role: str, password: str) -> str:
    """`host:port:database:user:password`; colons and backslashes are escaped as libpq's manual says."""
    fields = (host, str(PORT_POSTGRES), "*", role, password)
    escaped = (f if f == "*" else f.replace("\\", "\\\\").replace(":", "\\:") for f in fields)
    return ":".join(escaped) + "\n"
