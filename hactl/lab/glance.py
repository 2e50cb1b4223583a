"""A quick look at who carries which address: straight from the kernel, a watch looks ten times a second.

Every look opens its own sockets: one kept open would keep a machine's namespace, and the addresses in it,
alive after the power was cut.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

from hactl.errors import Unreachable
from hactl.lab import netns
from hactl.lab.lab import Lab

# <linux/netlink.h>, <linux/rtnetlink.h>, <linux/if_addr.h>, <linux/if_link.h>
_GET_LINK: Final = 18
_GET_ADDRESS: Final = 22
_REQUEST_DUMP: Final = 0x301  # NLM_F_REQUEST | NLM_F_DUMP
_ERROR: Final = 2
_DONE: Final = 3
_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_SIZES: Final = {_GET_LINK: 16, _GET_ADDRESS: 8}  # ifinfomsg, ifaddrmsg
_LINK_NAME: Final = 3
_LINK_MASTER: Final = 10
_ADDRESS_LOCAL: Final = 2


def reachable_addresses(lab: Lab, node: str) -> frozenset[str] | None:
    """The IPv4 addresses in a node's namespace; None when clients cannot reach it: off, or unplugged."""
    machine = lab.machine(node).machine
    try:
        with netns.entered(lab.topology.switch_netns):
            if machine.cables[0].port not in plugged():
                return None
        with netns.entered(machine.netns):
            return addresses()
    except (Unreachable, OSError):
        return None  # its power was cut while we looked


def plugged() -> frozenset[str]:
    """The interfaces of this thread's namespace that are part of a bridge."""
    links = [a for a in _dump(_GET_LINK, socket.AF_UNSPEC) if _LINK_MASTER in a]
    return frozenset(a[_LINK_NAME].rstrip(b"\0").decode() for a in links)


def addresses() -> frozenset[str]:
    """The IPv4 addresses of this thread's namespace."""
    found = [a[_ADDRESS_LOCAL] for a in _dump(_GET_ADDRESS, socket.AF_INET) if _ADDRESS_LOCAL in a]
    return frozenset(socket.inet_ntoa(raw) for raw in found)


def _dump(kind: int, family: int) -> Iterator[dict[int, bytes]]:
    """The attributes of each object of a kind. Raises OSError."""
    body = struct.pack("=B", family).ljust(_SIZES[kind], b"\0")
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as s:
        s.settimeout(2)
        s.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 1, 0) + body)
        while True:
            data = s.recv(1 << 16)
            for answer, payload in _messages(data):
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    raise OSError(code, os.strerror(code))
                yield dict(_attributes(payload[_SIZES[kind] :]))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[_aligned(length) :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & 0x3FFF, data[_ATTRIBUTE.size : length]  # without NLA_F_NESTED, NLA_F_NET_BYTEORDER
        data = data[_aligned(max(length, _ATTRIBUTE.size)) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
