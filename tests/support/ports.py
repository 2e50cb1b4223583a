"""Ports and networks of loopback that no other test has, nor one in another process (pytest-xdist).

What is given out is claimed by a Unix socket with an abstract name. The kernel ends a claim with its process,
and keeps such names apart for each network namespace, as it does with ports.
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import socket

# Below those that Linux gives to outgoing connections (from 32768 on): one of them could be there before the
# server that the port is meant for.
_FIRST, _LAST = 10_000, 32_767


def free_port() -> int:
    """Nobody listens on it, on no address, with TCP or UDP; it is the caller's until its process ends."""
    while True:
        port = _FIRST + secrets.randbelow(_LAST - _FIRST + 1)
        if _claimed(f"port-{port}") and _unused(port):
            return port


def free_network() -> str:
    """The first three numbers of a /24 of 127.0.0.0/8; 127.0 to 127.15 are never given out."""
    while True:
        prefix = f"127.{16 + secrets.randbelow(230)}.{1 + secrets.randbelow(250)}"
        if _claimed(f"net-{prefix}"):
            return prefix


def _claimed(name: str) -> bool:
    with socket.socket(socket.AF_UNIX) as claim:
        try:
            claim.bind(f"\0hactl-test-{name}")
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
        claim.detach()  # held open until the process ends
    return True


def _unused(port: int) -> bool:
    with contextlib.suppress(OSError), socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind(("", port))
        udp.bind(("", port))
        return True
    return False
