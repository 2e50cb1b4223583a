"""What is said on a port to find out whether it serves: one short question, and what its answer means."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hactl import layout
from hactl.view.tls import Offer, Outcome, Speaks

Answer = tuple[Outcome, str]
_SERVED, _REFUSED, _UNKNOWN = Outcome.SERVED, Outcome.REFUSED, Outcome.UNKNOWN
WRONG_AET: Final = "NO-SUCH-AET"
TITLED: Final = frozenset({Offer.WRONG_CALLED, Offer.WRONG_CALLING})


@dataclass(frozen=True)
class Titles:
    """AE titles: the archive's, and one of ours that it knows."""

    called: str
    calling: str


@dataclass(frozen=True)
class Talk:
    """`enough`: whether these first bytes of the answer can be understood; `means`: what they say."""

    question: bytes
    enough: Callable[[bytes], bool]
    means: Callable[[bytes], Answer]


def talk(speaks: Speaks, offer: Offer, titles: Titles, host: str) -> Talk:
    if speaks is Speaks.DICOM:
        return Talk(_associate(offer, titles), lambda b: len(b) >= 10 or b[:1] == b"\x07", _dicom(offer))
    if speaks is Speaks.POSTGRES:
        return Talk(_startup(), lambda b: len(b) >= 1 and (b[0:1] == b"R" or b"\0" in b[5:]), _postgres)
    means = _archive if speaks is Speaks.ARCHIVE else _http
    return Talk(_get(_PATHS[speaks], host), lambda b: b"\r\n" in b, means)


# HTTP

_PATHS: Final[Mapping[Speaks, str]] = {
    Speaks.ARCHIVE: "/tools/now",
    Speaks.PATRONI: "/liveness",
    Speaks.ETCD: "/health",
    Speaks.ETCD_PEER: "/version",
    Speaks.METRICS: "/metrics",
}
# 495, 496: nginx's own for a certificate that is wrong, or missing.
_NO: Final = frozenset({400, 401, 403, 495, 496})


def _get(path: str, host: str) -> bytes:
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: hactl-tls-check",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def _status(answer: bytes) -> int:
    words = answer.split(b"\r\n", 1)[0].split(b" ")
    number = words[1] if len(words) > 1 and words[0].startswith(b"HTTP/") else b""
    return int(number) if number.isdigit() else 0


def _http(answer: bytes) -> Answer:
    """Where TLS lets in, everybody who got in is answered."""
    status = _status(answer)
    if not status:
        return _REFUSED, "no HTTP"
    return (_REFUSED if status in _NO else _SERVED), f"HTTP {status}"


def _archive(answer: bytes) -> Answer:
    """Behind nginx is Orthanc, which may be down: then nothing was served and nothing refused."""
    status = _status(answer)
    if 500 <= status < 600:
        return _UNKNOWN, f"HTTP {status}: nginx got no answer from the archive"
    return _http(answer)


# PostgreSQL: message formats of its protocol 3.0

SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)


def _startup() -> bytes:
    words = (
        "user",
        layout.ROLE_MONITOR,
        "database",
        layout.DATABASE_HACTL,
        "application_name",
        "hactl-tls-check",
    )
    body = struct.pack("!i", 196608) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
    return struct.pack("!i", len(body) + 4) + body


def _postgres(answer: bytes) -> Answer:
    if answer[:1] == b"R":
        return _SERVED, "asks for the password"
    fields = {f[:1]: f[1:].decode(errors="replace") for f in answer[5:].split(b"\0") if f}
    return _REFUSED, fields.get(b"M", "an error").split(",")[0]


# DICOM: PS3.8 section 9.3

_CONTEXT, _VERIFICATION, _IMPLICIT = "1.2.840.10008.3.1.1.1", "1.2.840.10008.1.1", "1.2.840.10008.1.2"
_CLASS: Final = "1.2.826.0.1.3680043.9.3811.3"  # pynetdicom's, which the drills use as well
_CALLING, _CALLED = (1, 3), (1, 7)  # source and reason of an A-ASSOCIATE-RJ
_REASONS: Final = {_CALLING: "calling AE title not recognized", _CALLED: "called AE title not recognized"}
_WANTED: Final = {Offer.WRONG_CALLED: _CALLED, Offer.WRONG_CALLING: _CALLING}
ABORT: Final = b"\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack("!BxH", kind, len(body)) + body


def _associate(offer: Offer, titles: Titles) -> bytes:
    called = WRONG_AET if offer is Offer.WRONG_CALLED else titles.called
    calling = WRONG_AET if offer is Offer.WRONG_CALLING else titles.calling
    syntaxes = _item(0x30, _VERIFICATION.encode()) + _item(0x40, _IMPLICIT.encode())
    user = _item(0x51, struct.pack("!I", 16384)) + _item(0x52, _CLASS.encode())
    body = struct.pack("!HH16s16s32x", 1, 0, called.ljust(16).encode(), calling.ljust(16).encode())
    body += _item(0x10, _CONTEXT.encode()) + _item(0x20, b"\x01\0\0\0" + syntaxes) + _item(0x50, user)
    return struct.pack("!BxI", 1, len(body)) + body


def _dicom(offer: Offer) -> Callable[[bytes], Answer]:
    titled = offer in TITLED

    def means(answer: bytes) -> Answer:
        kind = answer[0] if answer else 0
        if kind == 2:
            return _SERVED, "association accepted"
        if kind == 3 and len(answer) >= 10:
            reason = (answer[8], answer[9])
            said = f"association rejected: {_REASONS.get(reason, f'source {reason[0]}, reason {reason[1]}')}"
            if titled:
                return (_REFUSED if reason == _WANTED[offer] else _UNKNOWN), said
            return _SERVED, said  # whoever is told so has got through TLS
        no = _UNKNOWN if titled else _REFUSED
        return no, "aborted" if kind == 7 else "no DICOM"

    return means
