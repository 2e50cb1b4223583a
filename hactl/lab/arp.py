"""Who answers a client in the lab that asks for an address by ARP: all of them, not only the first."""

from __future__ import annotations

import contextlib
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


class Asker:
    """`addresses`: name -> IPv4 address. Asks from the operator's place, as a client there does."""

    def __init__(self, lab: Lab, addresses: Mapping[str, str]) -> None:
        """Raises Unreachable: the lab is not up; OSError."""
        self._names = {socket.inet_aton(address): name for name, address in addresses.items()}
        self._own = lab.topology.ops.packed
        with netns.entered(lab.topology.ops_netns):
            self._socket = socket.socket(
                socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0
            )
            self._socket.bind((OPS_LAN, _TYPE))
        self._mac: bytes = self._socket.getsockname()[4]

    def ask(self) -> dict[str, tuple[str, ...]]:
        """Name -> the hardware addresses that answered. Raises OSError."""
        with contextlib.suppress(BlockingIOError):  # late answers to the question before
            while self._socket.recv(2048):
                pass
        for address in self._names:
            self._socket.send(self._request(address))
        found: dict[str, set[str]] = {name: set() for name in self._names.values()}
        deadline = time.monotonic() + WITHIN
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self._socket], [], [], left)[0]:
                answer = heard(self._socket.recv(2048), self._mac)
                if answer and answer[0] in self._names:
                    found[self._names[answer[0]]].add(answer[1])
        return {name: tuple(sorted(macs)) for name, macs in found.items()}

    def _request(self, address: bytes) -> bytes:
        ask = _ARP.pack(*_KIND, _REQUEST, self._mac, self._own, bytes(6), address)
        return _ETHERNET.pack(_BROADCAST, self._mac, _TYPE) + ask


def heard(frame: bytes, to: bytes) -> tuple[bytes, str] | None:
    """The address, and who has it, that a frame tells its hardware address `to` when asked.

    Announcements to all say what was, or shall be; only an answer to us says what is.
    """
    if len(frame) < _ETHERNET.size + _ARP.size:
        return None
    *_, action, mac, address, target, _ = _ARP.unpack_from(frame, _ETHERNET.size)
    return (address, mac.hex(":")) if action == _REPLY and target == to else None
