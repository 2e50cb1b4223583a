"""A virtual IP as this machine's kernel has it: is it here, for how long, away with it. Speaks rtnetlink.

keepalived alone adds the address. Giving an address a lifetime adds it where it is missing, so looking and
changing lie microseconds apart: no program is started in between.
"""

from __future__ import annotations

import socket
import struct
from ipaddress import IPv4Interface
from typing import Final

from hactl.adapters import own_address
from hactl.errors import StepFailed, Unreachable

# <linux/rtnetlink.h>, <linux/netlink.h>, <linux/if_addr.h>
_RTM_NEWADDR, _RTM_DELADDR, _NLMSG_ERROR = 20, 21, 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_REPLACE = 0x1, 0x4, 0x100
_IFA_ADDRESS, _IFA_LOCAL, _IFA_CACHEINFO = 1, 2, 6
_GONE: Final = 99  # EADDRNOTAVAIL
_WITHIN: Final = 0.5


class KernelVip:
    def __init__(self, address: IPv4Interface, interface: str) -> None:
        self._address, self._interface = address, interface

    def here(self) -> bool:
        """Whether this machine has the address."""
        return own_address.here(str(self._address.ip))

    def live(self, seconds: int) -> bool:
        """If the address is here, the kernel takes it away after so many seconds; whether it is here.

        Raises:
            StepFailed: the kernel refuses.
            Unreachable: there is no such interface.

        """
        index = self._index()
        if not self.here():
            return False
        self._ask(_RTM_NEWADDR, _NLM_F_REPLACE, index, _cacheinfo(seconds))
        return True

    def remove(self) -> bool:
        """Take the address away; whether it was here. Raises as `live`."""
        if not self.here():
            return False
        return self._ask(_RTM_DELADDR, 0, self._index(), b"")

    def _index(self) -> int:
        try:
            return socket.if_nametoindex(self._interface)
        except OSError as error:
            raise Unreachable(f"no network interface {self._interface} on this machine") from error

    def _ask(self, kind: int, flags: int, index: int, more: bytes) -> bool:
        """Whether it was done; False: there is no such address (any more)."""
        packed = self._address.ip.packed
        body = struct.pack("=BBBBI", socket.AF_INET, self._address.network.prefixlen, 0, 0, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed) + more
        head = struct.pack("=IHHII", 16 + len(body), kind, _NLM_F_REQUEST | _NLM_F_ACK | flags, 1, 0)
        try:
            with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as netlink:
                netlink.settimeout(_WITHIN)
                netlink.bind((0, 0))
                netlink.send(head + body)
                answer = netlink.recv(4096)
        except OSError as error:
            raise StepFailed(f"rtnetlink: {error.strerror or error}") from error
        _, answered = struct.unpack_from("=IH", answer)
        (code,) = struct.unpack_from("=i", answer, 16)
        if answered != _NLMSG_ERROR or code not in {0, -_GONE}:
            raise StepFailed(f"the kernel refuses to change {self._address}: error {-code}")
        return bool(code == 0)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value  # all values here are multiples of four bytes


def _cacheinfo(seconds: int) -> bytes:
    """The kernel's ifa_cacheinfo: preferred and valid lifetime; the stamps are the kernel's to fill in."""
    return _attribute(_IFA_CACHEINFO, struct.pack("=IIII", seconds, seconds, 0, 0))
