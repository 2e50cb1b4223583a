"""C-ECHO over mutual TLS in a few hundred bytes (DICOM PS3.8 section 9.3, PS3.7 section 9.3.5).

Not pynetdicom: it takes two threads and some milliseconds for each association, and a controller asks each
node every few seconds. An association is kept for a while: a new one costs both sides a TLS handshake. Only
for a while, because a kept one has its own thread in the archive, and does not show that no other is left.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final

from hactl.adapters.http import tls_problem
from hactl.adapters.tcp import connect, translated
from hactl.errors import Unreachable

RENEW: Final = 20.0  # seconds; Orthanc ends an idle association after 30
MAX_PDU: Final = 16384
_CONTEXT: Final = b"1.2.840.10008.3.1.1.1"
_VERIFICATION: Final = b"1.2.840.10008.1.1"
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_IMPLEMENTATION: Final = b"2.25.216012946218437218"  # PS3.5 annex B.2: a number of our own under 2.25
_ECHO, _ECHOED = 0x0030, 0x8030
_ASSOCIATE, _ACCEPT, _REJECT, _DATA, _RELEASE, _RELEASED, _ABORT = 1, 2, 3, 4, 5, 6, 7
_CALLING, _CALLED = 3, 7  # reasons of a rejection by the service user: AE titles not recognized


class NotAllowed(Unreachable):
    """It answers, and does not take calls by this AE title, or for the one called: settings, not health."""


@dataclass(frozen=True)
class Titles:
    """AE titles: who calls, and whom."""

    calling: str
    called: str


class DicomEcho:
    """One archive's DICOM port. For one thread at a time."""

    syntax: ClassVar[bytes] = _VERIFICATION  # what an association is asked for

    def __init__(
        self, context: Callable[[], ssl.SSLContext] | None, address: str, port: int, titles: Titles
    ) -> None:
        """`context` None: plain DICOM."""
        self._context, self._where = context, (address, port)
        self._what = f"{address}:{port}"
        self._request = associate_request(titles, self.syntax)
        self._link: socket.socket | None = None
        self._since = 0.0

    def ask(self, within: float) -> None:
        """One C-ECHO (`_exchange`), answered with success in `within` seconds, whatever had to be connected.

        Raises:
            Silent, PortClosed, Untrusted: as anybody who connects.
            NotAllowed: the association was rejected for its AE titles.
            Unreachable: no answer in time, or not what DICOM says it is.

        """
        end = time.monotonic() + within
        if self._link is not None and time.monotonic() - self._since >= RENEW:
            self.close()
        try:
            if self._link is not None and self._kept(end):
                return
            self._link = self._associated(end)
            self._since = time.monotonic()
            self._exchange(end)
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """Release as one should; who does not answer is hung up on."""
        if self._link is None:
            return
        try:
            end = time.monotonic() + 0.2
            self._send(_pdu(_RELEASE, b"\0\0\0\0"), end)
            self._receive(end)
        except Unreachable:
            pass
        finally:
            self._drop()

    def _kept(self, end: float) -> bool:
        """False: the association from last time has ended meanwhile; a new one may do better."""
        try:
            self._exchange(end)
        except Unreachable:
            self._drop()
            if time.monotonic() >= end:
                raise
            return False
        return True

    def _associated(self, end: float) -> socket.socket:
        sock = connect(*self._where, within=_left(end))
        try:
            self._link = self._wrapped(sock, end)
            self._send(self._request, end)
            kind, body = self._receive(end)
        except BaseException:
            sock.close()
            raise
        if kind == _REJECT:
            raise _rejected(self._what, body)
        if kind != _ACCEPT or not accepted(body):
            raise self._not_offered(kind)
        return self._link

    def _not_offered(self, kind: int) -> Unreachable:  # noqa: ARG002 - for others than verification it tells
        """There is no association for what we ask; `kind`: the PDU that was the answer."""
        return Unreachable(f"{self._what}: no association for verification")

    def _wrapped(self, sock: socket.socket, end: float) -> socket.socket:
        with translated(self._what):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(_left(end))
            if self._context is None:
                return sock
            try:
                return self._context().wrap_socket(sock, server_hostname=self._where[0])
            except ssl.SSLError as error:
                raise tls_problem(self._what, error) from error

    def _exchange(self, end: float) -> None:
        self._send(_pdu(_DATA, _ECHO_REQUEST), end)
        kind, body = self._receive(end)
        if kind != _DATA or (status := echo_status(body)) is None:
            raise Unreachable(f"{self._what}: the association was ended")
        if status != 0:
            raise Unreachable(f"{self._what}: C-ECHO answered with status 0x{status:04X}")

    def _send(self, data: bytes, end: float) -> None:
        with self._talking(end) as link:
            link.sendall(data)

    def _receive(self, end: float) -> tuple[int, bytes]:
        """One PDU: its type and what follows its head."""
        head = self._read(6, end)
        kind, length = head[0], struct.unpack(">L", head[2:])[0]
        if length > MAX_PDU:
            raise Unreachable(f"{self._what}: no DICOM server answers there")
        return kind, self._read(length, end)

    def _read(self, length: int, end: float) -> bytes:
        found = b""
        while len(found) < length:
            with self._talking(end) as link:
                piece = link.recv(length - len(found))
            if not piece:
                raise Unreachable(f"{self._what}: the connection was closed")
            found += piece
        return found

    @contextlib.contextmanager
    def _talking(self, end: float) -> Iterator[socket.socket]:
        """One call on the socket within what is left of the time, its errors in this project's words."""
        left = end - time.monotonic()
        if self._link is None or left <= 0:
            raise Unreachable(f"{self._what}: no answer in time")
        self._link.settimeout(left)
        with translated(self._what):
            try:
                yield self._link
            except ssl.SSLError as error:
                raise tls_problem(self._what, error) from error

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def _left(end: float) -> float:
    return max(0.001, end - time.monotonic())


def _pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def associate_request(titles: Titles, syntax: bytes = _VERIFICATION) -> bytes:
    """A-ASSOCIATE-RQ with one presentation context: an abstract syntax (verification) in implicit VR."""
    syntaxes = _item(0x30, syntax) + _item(0x40, _IMPLICIT)
    user = _item(0x51, struct.pack(">L", MAX_PDU)) + _item(0x52, _IMPLEMENTATION)
    items = _item(0x10, _CONTEXT) + _item(0x20, b"\x01\0\0\0" + syntaxes) + _item(0x50, user)
    names = b"".join(t.encode("ascii").ljust(16)[:16] for t in (titles.called, titles.calling))
    return _pdu(_ASSOCIATE, b"\0\x01\0\0" + names + bytes(32) + items)


def accepted(body: bytes) -> bool:
    """Whether an A-ASSOCIATE-AC accepts the one presentation context."""
    at = 68
    while at + 4 <= len(body):
        kind, length = body[at], struct.unpack(">H", body[at + 2 : at + 4])[0]
        if kind == 0x21:
            return length >= 4 and at + 7 <= len(body) and body[at + 6] == 0
        at += 4 + length
    return False


def _rejected(what: str, body: bytes) -> Unreachable:
    source, reason = (body[2], body[3]) if len(body) >= 4 else (0, 0)
    if source == 1 and reason in {_CALLING, _CALLED}:
        who = "calling" if reason == _CALLING else "called"
        return NotAllowed(f"{what}: it does not know the {who} AE title")
    return Unreachable(f"{what}: the association was rejected (source {source}, reason {reason})")


def _element(element: int, value: bytes) -> bytes:
    return struct.pack("<HHL", 0, element, len(value)) + value


def _command(field: int) -> bytes:
    uid = _VERIFICATION + b"\0" * (len(_VERIFICATION) % 2)
    rest = (
        _element(0x0002, uid)
        + _element(0x0100, struct.pack("<H", field))
        + _element(0x0110, struct.pack("<H", 1))
        + _element(0x0800, struct.pack("<H", 0x0101))
    )
    return _element(0x0000, struct.pack("<L", len(rest))) + rest


def _value(command: bytes) -> bytes:
    """A presentation data value: context 1, a command, the last piece of it."""
    return struct.pack(">LBB", len(command) + 2, 1, 3) + command


_ECHO_REQUEST: Final = _value(_command(_ECHO))


def echo_status(body: bytes) -> int | None:
    """The status of a C-ECHO-RSP in a P-DATA-TF; None: it is none."""
    return status_of(body[6:], _ECHOED)


def status_of(command: bytes, answer: int) -> int | None:
    """The status in a command set whose command field is `answer`; None: it is another one, or none."""
    at, found = 0, dict[int, bytes]()
    while at + 8 <= len(command):
        group, element, length = struct.unpack("<HHL", command[at : at + 8])
        if group == 0:
            found[element] = command[at + 8 : at + 8 + length]
        at += 8 + length
    field, status = found.get(0x0100, b""), found.get(0x0900, b"")
    if len(field) != 2 or len(status) != 2 or struct.unpack("<H", field)[0] != answer:
        return None
    return int(struct.unpack("<H", status)[0])
