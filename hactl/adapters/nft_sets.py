"""Elements of an nftables set, changed through netlink: a lease must not wait for a program to start.

On a busy machine starting `nft` takes longer than a lease may be late. One batch is one transaction: all of
it holds at once, or nothing. Constants: <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>.
"""

from __future__ import annotations

import socket
import struct
import time
from dataclasses import dataclass
from typing import Final

from hactl.errors import StepFailed

NETLINK_NETFILTER: Final = 12
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_SUBSYS_NFTABLES: Final = 10
_NEW_ELEMENTS, _DEL_ELEMENTS = 12, 14
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
_NLMSG_ERROR: Final = 2
_NFPROTO_INET: Final = 1
_NESTED: Final = 0x8000
_TABLE, _SET, _ELEMENTS = 1, 2, 3  # NFTA_SET_ELEM_LIST_*
_LIST_ELEMENT, _KEY, _TIMEOUT, _VALUE = 1, 1, 4, 1  # NFTA_LIST_ELEM, NFTA_SET_ELEM_*, NFTA_DATA_VALUE
_WITHIN: Final = 0.8
ENOENT: Final = 2


class NoSuchSet(StepFailed):
    """The table or the set is not there."""


@dataclass(frozen=True)
class Change:
    """`kind`: what to do with `address`; all elements where it is empty. `timeout` in ms, 0: none."""

    kind: int
    address: str = ""
    timeout: int = 0


def renewed(address: str, timeout: int) -> tuple[Change, ...]:
    """The element, to end so many ms from now, whether it was there or not, and whatever end it had.

    Adding what exists does not change its end on older kernels, hence add, delete, add.
    """
    there = Change(_NEW_ELEMENTS, address)
    return there, Change(_DEL_ELEMENTS, address), Change(_NEW_ELEMENTS, address, max(1, timeout))


def removed(address: str) -> tuple[Change, ...]:
    """The element is not there, whether it was or not."""
    return Change(_NEW_ELEMENTS, address), Change(_DEL_ELEMENTS, address)


def emptied() -> tuple[Change, ...]:
    return (Change(_DEL_ELEMENTS),)


class NftSet:
    """A set of IPv4 addresses in a table of family inet, for one thread. Needs CAP_NET_ADMIN.

    The socket stays open: closing it costs 12 ms, changing a set 0.1 ms (measured).
    """

    def __init__(self, table: str, name: str) -> None:
        self._place = _attribute(_TABLE, table.encode() + b"\0") + _attribute(_SET, name.encode() + b"\0")
        self._socket: socket.socket | None = None
        self._seq = 0

    def change(self, changes: tuple[Change, ...]) -> None:
        """All of it in one transaction; when this returns, it holds.

        Raises:
            NoSuchSet: there is no such table or set.
            StepFailed: the kernel refuses, or gives no answer.

        """
        first, last = self._seq + 1, self._seq + len(changes)
        self._seq = last
        batch = _message(_BATCH_BEGIN, 0, first, socket.AF_UNSPEC, _SUBSYS_NFTABLES, b"")
        for seq, change in enumerate(changes, first):
            flags = (_CREATE if change.kind == _NEW_ELEMENTS else 0) | (_ACK if seq == last else 0)
            kind = (_SUBSYS_NFTABLES << 8) | change.kind
            batch += _message(kind, flags, seq, _NFPROTO_INET, 0, self._place + _elements(change))
        batch += _message(_BATCH_END, 0, last, socket.AF_UNSPEC, _SUBSYS_NFTABLES, b"")
        try:
            code = self._exchange(batch, range(first, last + 1))
        except OSError as error:
            self.close()
            raise StepFailed(f"netlink: {error.strerror or error}") from error
        if code:
            self.close()  # an answer to each message that failed would lie there
        if code == ENOENT:
            raise NoSuchSet("the table or set is not there")
        if code:
            raise StepFailed(f"the kernel refuses to change the packet filter: error {code}")

    def _exchange(self, batch: bytes, numbers: range) -> int:
        """The error's number, 0: none. The kernel does the work while it takes the message."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
            self._socket.settimeout(_WITHIN)
            self._socket.bind((0, 0))
        self._socket.send(batch)
        end = time.monotonic() + _WITHIN
        while time.monotonic() < end:
            answer = self._socket.recv(65536)
            if len(answer) < 20:
                break
            _, kind, _, seq = struct.unpack_from("=IHHI", answer)
            if kind == _NLMSG_ERROR and seq in numbers:
                return -int(struct.unpack_from("=i", answer, 16)[0])
        raise TimeoutError("no proper answer")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _message(kind: int, flags: int, seq: int, family: int, resource: int, body: bytes) -> bytes:
    """A nlmsghdr, a nfgenmsg and attributes, which all are padded already."""
    head = struct.pack("=IHHII", 20 + len(body), kind, _REQUEST | flags, seq, 0)
    return head + struct.pack("=BB", family, 0) + struct.pack(">H", resource) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _nest(kind: int, value: bytes) -> bytes:
    return _attribute(kind | _NESTED, value)


def _elements(change: Change) -> bytes:
    if not change.address:
        return b""
    element = _nest(_KEY, _attribute(_VALUE, socket.inet_aton(change.address)))
    if change.timeout:
        element += _attribute(_TIMEOUT, struct.pack(">Q", change.timeout))
    return _nest(_ELEMENTS, _nest(_LIST_ELEMENT, element))
