"""C-FIND for a study that nobody has: the least question whose answer needs an archive's index.

PS3.4 annex C (Study Root), PS3.7 section 9.1.2. A study UID of our own is asked for, so at most one study
could match, and no patient's data ever comes back.
"""

from __future__ import annotations

import struct
import time
from typing import ClassVar, Final

from hactl.adapters.dicom_echo import DicomEcho, NotAllowed, status_of
from hactl.errors import Unreachable

NOBODYS_STUDY: Final = "2.25.301726117239284417"  # PS3.5 annex B.2: under 2.25, given to no study
STUDY_ROOT_FIND: Final = b"1.2.840.10008.5.1.4.1.2.2.1"
_FIND, _FOUND = 0x0020, 0x8020
_DATA, _ACCEPT = 4, 2
_PENDING: Final = frozenset({0xFF00, 0xFF01})
# PS3.7 annex C: SOP class not supported, not authorized. What we may do, not what it can.
_REFUSALS: Final = frozenset({0x0122, 0x0124})
_LAST: Final = 2  # of a message control header: the last piece
_COMMAND: Final = 1


class DicomFind(DicomEcho):
    """One archive's C-FIND, asked like its C-ECHO. For one thread at a time.

    `ask` raises NotAllowed as well where no C-FIND is offered to us.
    """

    syntax: ClassVar[bytes] = STUDY_ROOT_FIND

    def _not_offered(self, kind: int) -> Unreachable:
        if kind == _ACCEPT:
            return NotAllowed(f"{self._what}: it offers us no C-FIND (study root)")
        return Unreachable(f"{self._what}: no association for C-FIND")

    def _exchange(self, end: float) -> None:
        self._send(_REQUEST, end)
        status = self._status(end)
        while status in _PENDING:
            status = self._status(end)
        if status in _REFUSALS:
            raise NotAllowed(f"{self._what}: it refuses us C-FIND (status 0x{status:04X})")
        if status != 0:
            raise Unreachable(f"{self._what}: C-FIND was answered with status 0x{status:04X}")

    def _status(self, end: float) -> int:
        """The next response's. What was found with it is read and forgotten."""
        command, done = b"", False
        while not done:
            if time.monotonic() >= end:
                raise Unreachable(f"{self._what}: no answer in time")
            kind, body = self._receive(end)
            if kind != _DATA:
                raise Unreachable(f"{self._what}: the association was ended")
            for header, data in pieces(body):
                if header & _COMMAND:
                    command += data
                    done = done or bool(header & _LAST)
        status = find_status(command)
        if status is None:
            raise Unreachable(f"{self._what}: no proper answer to C-FIND")
        return status


def pieces(body: bytes) -> list[tuple[int, bytes]]:
    """A P-DATA-TF's presentation data values: message control header and content."""
    found, at = [], 0
    while at + 6 <= len(body):
        length = struct.unpack(">L", body[at : at + 4])[0]
        if length < 2 or at + 4 + length > len(body):
            break
        found.append((body[at + 5], body[at + 6 : at + 4 + length]))
        at += 4 + length
    return found


def find_status(command: bytes) -> int | None:
    """Of a C-FIND-RSP; None: it is none."""
    return status_of(command, _FOUND)


def _element(group: int, element: int, value: bytes, pad: bytes = b"\0") -> bytes:
    value += pad * (len(value) % 2)
    return struct.pack("<HHL", group, element, len(value)) + value


def _request() -> bytes:
    """C-FIND-RQ in one P-DATA-TF: the command, then the identifier, both in implicit VR little endian."""
    rest = (
        _element(0, 0x0002, STUDY_ROOT_FIND)
        + _element(0, 0x0100, struct.pack("<H", _FIND))
        + _element(0, 0x0110, struct.pack("<H", 1))
        + _element(0, 0x0700, struct.pack("<H", 0))
        + _element(0, 0x0800, struct.pack("<H", 0x0001))
    )
    command = _element(0, 0, struct.pack("<L", len(rest))) + rest
    identifier = _element(0x0008, 0x0052, b"STUDY", b" ") + _element(
        0x0020, 0x000D, NOBODYS_STUDY.encode("ascii")
    )
    values = (_value(_COMMAND | _LAST, command), _value(_LAST, identifier))
    body = b"".join(values)
    return struct.pack(">BBL", _DATA, 0, len(body)) + body


def _value(header: int, data: bytes) -> bytes:
    return struct.pack(">LBB", len(data) + 2, 1, header) + data


_REQUEST: Final = _request()
