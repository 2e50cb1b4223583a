"""Which node of the spec this machine is: the one whose address it has."""

from __future__ import annotations

from pathlib import Path

from hactl.adapters import own_address
from hactl.errors import Refused, Unreachable
from hactl.spec.model import ClusterSpec

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def own_node(spec: ClusterSpec) -> str:
    """Raises Refused: this machine has the address of no node."""
    for name, node in spec.nodes.items():
        if own_address.here(str(node.address)):
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
