"""Whether this machine has an IPv4 address: asked by binding, which is quick, where binding tells.

With net.ipv4.ip_nonlocal_bind, which sites set beside keepalived, every address can be bound. Whoever
believed it would take each machine for the first node of the spec, and for the holder of the virtual IP.
"""

from __future__ import annotations

import itertools
import socket
from pathlib import Path

_NONLOCAL = Path("/proc/sys/net/ipv4/ip_nonlocal_bind")
_ROUTES = Path("/proc/thread-self/net/fib_trie")


def here(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return not _any_binds() or _routed_here(address)


def _any_binds() -> bool:
    try:
        return _NONLOCAL.read_text(encoding="ascii").strip() != "0"
    except OSError:
        return True  # then nobody knows, and the routes are asked


def _routed_here(address: str) -> bool:
    """The kernel's own list: the line after an address says what kind it is of."""
    try:
        lines = _ROUTES.read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    return any(
        line.strip() == f"|-- {address}" and "/32 host LOCAL" in kind
        for line, kind in itertools.pairwise(lines)
    )
