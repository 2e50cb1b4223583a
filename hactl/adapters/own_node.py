"""Which node of the spec this machine is: the one whose address a socket can be bound to here."""

from __future__ import annotations

import socket
from pathlib import Path

from hactl.errors import Refused, Unreachable
from hactl.spec.model import ClusterSpec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def own_node(spec: ClusterSpec) -> str:
    """Raises Refused: this machine has the address of no node."""
    for name, node in spec.nodes.items():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((str(node.address), 0))
            except OSError:
                continue
            return name
    raise Refused(
        f"this machine is no node of cluster {spec.cluster}: it has none of its addresses",
        hint="run this on a node that `hactl deploy` has set up",
    )


def boot_id() -> str:
    """Another one after each boot. Raises Unreachable: no /proc."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError as error:
        raise Unreachable(f"cannot read {_BOOT_ID}: {error.strerror}") from error
