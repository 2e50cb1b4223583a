"""Which frames count as an answer to a question by ARP."""

from __future__ import annotations

import socket
import struct

import pytest

from hactl.lab.arp import heard

ME, OTHER = b"\x02\0\0\0\0\x09", b"\x02\0\0\0\0\x01"
VIP = socket.inet_aton("192.0.2.100")


def frame(*, action: int = 2, address: bytes = VIP, target: bytes = ME) -> bytes:
    ethernet = struct.pack("!6s6sH", target, OTHER, 0x0806)
    return ethernet + struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, action, OTHER, address, target, bytes(4))


def test_an_answer_names_who_gave_it() -> None:
    assert heard(frame(), ME) == (VIP, "02:00:00:00:00:01")


@pytest.mark.parametrize(
    "other",
    [frame(action=1), frame(target=b"\xff" * 6), frame()[:30], b""],
    ids=["a question", "an announcement to all", "cut off", "nothing"],
)
def test_what_is_none(other: bytes) -> None:
    assert heard(other, ME) is None
