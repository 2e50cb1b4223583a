"""Who answers a client in the lab that asks for an address by ARP: all of them, not only the first.

The question is a probe (RFC 5227) from an address of nobody's, each time another: no kernel learns from it
who asks or who answers, so that clients there are not helped, and what is answered late is known as such.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Mapping
from typing import Final

from hactl.lab import netns
from hactl.lab.lab import Lab
from hactl.lab.topology import OPS_LAN

WITHIN: Final = 0.05  # seconds for the answers: they take less than one hundredth of that
_TYPE: Final = 0x0806
_BROADCAST: Final = b"\xff" * 6
_ETHERNET: Final = struct.Struct("!6s6sH")
_ARP: Final = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for IPv4 on Ethernet
_KIND: Final = (1, 0x0800, 6, 4)
_REQUEST, _REPLY = 1, 2
_NOBODY: Final = b"\x02arp!"  # locally administered; the last byte counts
_MANY: Final = 250


class Asker:
    """`addresses`: name -> IPv4 address. Asks from the operator's place, as a client there does."""

    def __init__(self, lab: Lab, addresses: Mapping[str, str]) -> None:
        """Raises Unreachable: the lab is not up; OSError."""
        self._names = {socket.inet_aton(address): name for name, address in addresses.items()}
        self._questions = 0
        with netns.entered(lab.topology.ops_netns):
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
            )
            self._socket.bind((OPS_LAN, _TYPE))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def ask(self) -> dict[str, tuple[str, ...]]:
        """Name -> the hardware addresses that answered. Raises OSError."""
        self._questions += 1
        asks = _NOBODY + (self._questions % _MANY).to_bytes(1, "big")
        for address in self._names:
            self._socket.send(request(asks, address))
        found: dict[str, set[str]] = {name: set() for name in self._names.values()}
        deadline = time.monotonic() + WITHIN
        while (left := deadline - time.monotonic()) > 0:
            if self._poll.poll(left * 1000):
                answer = heard(self._socket.recv(2048), asks)
                if answer and answer[0] in self._names:
                    found[self._names[answer[0]]].add(answer[1])
        return {name: tuple(sorted(macs)) for name, macs in found.items()}


def request(asks: bytes, address: bytes) -> bytes:
    return _ETHERNET.pack(_BROADCAST, asks, _TYPE) + _ARP.pack(
        *_KIND, _REQUEST, asks, bytes(4), bytes(6), address
    )


def heard(frame: bytes, to: bytes) -> tuple[bytes, str] | None:
    """The address, and who has it, that a frame tells its hardware address `to` when asked.

    Announcements to all say what was, or shall be; only an answer to us says what is.
    """
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    *_, action, mac, address, target, _ = _ARP.unpack_from(frame, _ETHERNET.size)
    return (address, mac.hex(":")) if action == _REPLY and target == to else None
