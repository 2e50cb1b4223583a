"""Offers a port one kind of TLS, and sees what becomes of it.

The client's own floor is lowered: OpenSSL's security level 0 and an explicit version. At its default level it
would not even offer TLS 1.0, and every server would seem to refuse it. Whether this machine's OpenSSL really
does so is tried first, against a server in memory that takes everything (`can_offer`).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hactl.adapters.tls_talk import ABORT, SSL_REQUEST, TITLED, Talk, Titles, talk
from hactl.view.tls import Endpoint, Offer, Outcome, Seen, Speaks

WITHIN: Final = 4.0  # seconds for a connection, and again for all that follows; a LAN's take a tenth of one
VERSIONS: Final[Mapping[Offer, ssl.TLSVersion]] = {
    Offer.TLS_1_0: ssl.TLSVersion.TLSv1,
    Offer.TLS_1_1: ssl.TLSVersion.TLSv1_1,
    Offer.TLS_1_2: ssl.TLSVersion.TLSv1_2,
    Offer.TLS_1_3: ssl.TLSVersion.TLSv1_3,
}
OLD: Final = (Offer.TLS_1_0, Offer.TLS_1_1)
_EVERYTHING: Final = "ALL:@SECLEVEL=0"
_MOST: Final = 4096  # bytes of an answer that are looked at


@dataclass(frozen=True)
class Pair:
    cert: Path
    key: Path


@dataclass(frozen=True)
class Credentials:
    """For one CA: a good certificate of ours, one of a CA that nobody knows, one that has expired."""

    ca: Path
    own: Pair | None
    foreign: Pair
    expired: Pair | None


def context(offer: Offer, credentials: Credentials) -> ssl.SSLContext | str:
    """For one offer; a sentence where it cannot be made.

    Only good offers verify the server: where it has to refuse us, it must not be us who end it.
    """
    pair = {Offer.NO_CERTIFICATE: None, Offer.FOREIGN_CA: credentials.foreign}.get(offer, credentials.own)
    if offer is Offer.EXPIRED:
        pair = credentials.expired
    if pair is None and offer is not Offer.NO_CERTIFICATE:
        return "no expired certificate here" if offer is Offer.EXPIRED else "no certificate of our own here"
    try:
        return _context(offer, credentials.ca, pair)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        return f"this side cannot offer it: {getattr(error, 'strerror', None) or error}"


def _context(offer: Offer, ca: Path, pair: Pair | None) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.set_ciphers(_EVERYTHING if offer in OLD else "DEFAULT:@SECLEVEL=1")
    _limit(made, offer)
    if offer in (Offer.TLS_1_2, Offer.TLS_1_3):
        made.load_verify_locations(cafile=str(ca))
    else:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        made.load_cert_chain(pair.cert, pair.key)
    return made


def _limit(made: ssl.SSLContext, offer: Offer) -> None:
    lowest = VERSIONS.get(offer, ssl.TLSVersion.TLSv1_2)
    highest = VERSIONS.get(offer, ssl.TLSVersion.MAXIMUM_SUPPORTED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        made.minimum_version, made.maximum_version = lowest, highest


def can_offer(offer: Offer, credentials: Credentials) -> str:
    """Empty when a server in memory agrees on that version and takes our certificate; else why not."""
    if credentials.own is None:
        return "no certificate of our own here"
    there = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    there.load_cert_chain(credentials.foreign.cert, credentials.foreign.key)
    there.set_ciphers(_EVERYTHING)
    there.load_verify_locations(cafile=str(credentials.ca))
    there.verify_mode = ssl.CERT_REQUIRED
    _limit(there, offer)
    here = _context(offer, credentials.ca, credentials.own)
    here.check_hostname, here.verify_mode = False, ssl.CERT_NONE
    try:
        found = _in_memory(here, there)
    except (ssl.SSLError, ValueError) as error:
        return f"this machine's {ssl.OPENSSL_VERSION} does not offer it: {error}"
    return "" if found == VERSIONS[offer].name.replace("_", ".") else f"it became {found}"


def _in_memory(here: ssl.SSLContext, there: ssl.SSLContext) -> str | None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = here.wrap_bio(down, up)
    server = there.wrap_bio(up, down, server_side=True)
    for _ in range(8):
        for side in (client, server):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return client.version()


@dataclass(frozen=True)
class Caller:
    """Makes offers. `contexts` for each offer but `plain`: made once, by one thread."""

    contexts: Mapping[Offer, ssl.SSLContext | str]
    titles: Titles
    within: float = WITHIN
    clock: Callable[[], float] = time.monotonic

    def call(self, endpoint: Endpoint, offer: Offer) -> Seen:
        """One connection; never raises for anything that the other side does."""
        tls: ssl.SSLContext | None = None
        if offer is not Offer.PLAIN:
            found = self.contexts[offer]
            if isinstance(found, str):
                return Seen(offer, Outcome.UNKNOWN, found)
            tls = found
        try:
            raw = socket.create_connection((endpoint.host, endpoint.port), self.within)
        except OSError as error:
            return Seen(offer, Outcome.UNKNOWN, f"no connection: {_why(error)}", reached=False)
        with raw:
            return self._talk(raw, endpoint, offer, tls)

    def _talk(self, raw: socket.socket, endpoint: Endpoint, offer: Offer, tls: ssl.SSLContext | None) -> Seen:
        deadline = self.clock() + self.within
        spoken = talk(endpoint.speaks, offer, self.titles, endpoint.host)
        link: socket.socket = raw
        agreed = ("", "", "")
        try:
            if tls is not None:
                if endpoint.speaks is Speaks.POSTGRES and not _wants_tls(raw):
                    return Seen(offer, Outcome.UNKNOWN, "PostgreSQL offers no TLS")
                link = tls.wrap_socket(raw, server_hostname=endpoint.host, do_handshake_on_connect=True)
                agreed = _agreed(link)
            outcome, detail = self._ask(link, spoken, deadline)
        except TimeoutError:
            outcome, detail = Outcome.UNKNOWN, f"no answer within {self.within:g} s"
        except ssl.SSLCertVerificationError as error:
            outcome, detail = Outcome.UNKNOWN, f"its certificate: {error.verify_message}"
        except OSError as error:
            # A wrong AE title is refused by a word of DICOM; without one, nobody has read it.
            outcome = Outcome.UNKNOWN if offer in TITLED else Outcome.REFUSED
            detail = _why(error)
        else:
            if endpoint.speaks is Speaks.DICOM and outcome is Outcome.SERVED:
                with contextlib.suppress(OSError):
                    link.sendall(ABORT)
        finally:
            if link is not raw:
                link.close()
        return Seen(offer, outcome, detail, *agreed)

    def _ask(self, link: socket.socket, spoken: Talk, deadline: float) -> tuple[Outcome, str]:
        """In TLS 1.3 a server refuses a certificate after the client's handshake: only an answer counts."""
        link.sendall(spoken.question)
        answer = b""
        while not spoken.enough(answer) and len(answer) < _MOST:
            link.settimeout(max(0.01, deadline - self.clock()))
            more = link.recv(_MOST)
            if not more:
                break
            answer += more
        return spoken.means(answer) if answer else (Outcome.REFUSED, "closed the connection")


def _wants_tls(raw: socket.socket) -> bool:
    raw.sendall(SSL_REQUEST)
    return raw.recv(1) == b"S"


def _agreed(link: ssl.SSLSocket) -> tuple[str, str, str]:
    """Protocol, cipher, and whose certificate it was."""
    cipher = link.cipher()
    found = link.getpeercert() or {}
    names = dict(part[0] for part in found.get("subject", ()))  # type: ignore[misc]
    said = f"{names.get('commonName', '?')}, until {found['notAfter']}" if found else ""
    return link.version() or "", cipher[0] if cipher else "", said


def _why(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    return error.strerror or str(error)
