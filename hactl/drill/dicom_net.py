"""A DICOM application over mutual TLS: C-ECHO, C-STORE, C-FIND, C-MOVE, each with a deadline."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, SecondaryCaptureImageStorage
from pynetdicom import AE, evt

from hactl.drill.images import Image, dataset, pixel_digest
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.pki.store import Store
from hactl.pki.uses import OPS, OPS_DICOM
from hactl.site import Site
from hactl.spec.aets import OPERATOR

AET = OPERATOR  # our own AE title; the archive's allow-list must have it
SUCCESS = 0x0000
PENDING = frozenset({0xFF00, 0xFF01})
# PS3.6 annex A: Verification, Study Root Query/Retrieve FIND and MOVE.
VERIFICATION = UID("1.2.840.10008.1.1")
FIND = UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = UID("1.2.840.10008.5.1.4.1.2.2.2")
_CONTEXTS = (VERIFICATION, SecondaryCaptureImageStorage, FIND, MOVE)
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]


@dataclass(frozen=True)
class Archive:
    """Whom to call and how. `tls` None is plain DICOM; `within`: seconds of a call or an answer."""

    host: str
    port: int
    aet: str
    tls: ssl.SSLContext | None
    calling: str = AET
    within: float = 10.0


def client_tls(site: Site) -> ssl.SSLContext:
    """Shows the operator's certificate for DICOM; accepts only the cluster's DICOM CA, TLS 1.2 or better.

    Raises Refused when the state folder lacks one of them; so does `server_tls`.
    """
    return _own_tls(site, ssl.Purpose.SERVER_AUTH)


def server_tls(site: Site) -> ssl.SSLContext:
    """For the receiver of C-MOVE: whoever calls must show a certificate of the cluster's DICOM CA."""
    return _own_tls(site, ssl.Purpose.CLIENT_AUTH)


def _own_tls(site: Site, purpose: ssl.Purpose) -> ssl.SSLContext:
    store = Store(site.state)
    return tls_context(store.dicom_ca, *store.cert(OPS, OPS_DICOM), purpose)


def tls_context(ca: Path, cert: Path, key: Path, purpose: ssl.Purpose) -> ssl.SSLContext:
    context = ssl.create_default_context(purpose, cafile=str(ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(cert, key)
    return context


def _entity(archive: Archive) -> AE:
    entity = AE(ae_title=archive.calling)
    for name in ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout"):
        setattr(entity, name, archive.within)
    for context in _CONTEXTS:
        entity.add_requested_context(context, _SYNTAXES)
    return entity


def deadline_of(archive: Archive) -> Any:
    """For an association's handlers: no reading lasts longer than a call may.

    Without it pynetdicom waits for ever for an archive that is gone in mid-handshake: TLS has something to
    read then that is no answer, and its thread stays in there.
    """
    return evt.EVT_CONN_OPEN, _limited, [archive.within]


def _limited(event: Any, within: float) -> None:
    event.assoc.dul.socket.socket.settimeout(within)


@contextlib.contextmanager
def association(archive: Archive) -> Iterator[Any]:
    """Raises Refused when the archive rejects us, Unreachable when no association comes about."""
    tls = (archive.tls, archive.host) if archive.tls else None
    found: Any = _entity(archive).associate(
        archive.host, archive.port, ae_title=archive.aet, tls_args=tls, evt_handlers=[deadline_of(archive)]
    )
    where = f"{archive.aet} at {archive.host}:{archive.port}"
    if found.is_rejected:
        raise Refused(
            f"{where} refused the AE title {archive.calling}", hint="archive.modalities in the spec"
        )
    if not found.is_established:
        raise Unreachable(f"no DICOM association with {where}", hint="hactl status")
    try:
        yield found
    except RuntimeError as error:  # pynetdicom's word for "the association is gone"
        raise Unreachable(f"the DICOM association with {where} was lost: {error}") from error
    finally:
        if found.is_established:
            found.release()
        else:
            found.abort()


def echo(archive: Archive) -> None:
    with association(archive) as link:
        _demand(link.send_c_echo(), "C-ECHO")


def store(archive: Archive, image: Image) -> None:
    """One image in an association of its own. Returns only when the archive answered 0x0000.

    Raises StepFailed (another status), Refused, Unreachable; only Refused means that it surely was not kept.
    """
    with association(archive) as link:
        _demand(link.send_c_store(dataset(image)), "C-STORE")


def store_all(archive: Archive, images: Sequence[Image]) -> None:
    """All in one association. Raises as `store`, at the first that failed."""
    with association(archive) as link:
        for image in images:
            _demand(link.send_c_store(dataset(image)), "C-STORE")


def find(archive: Archive, study: str) -> frozenset[str]:
    """The SOP instance UIDs of a study, all its series."""
    with association(archive) as link:
        series = _find(link, archive, study, "SERIES", "SeriesInstanceUID")
        found = {s: _find(link, archive, study, "IMAGE", "SOPInstanceUID", series=s) for s in series}
    return frozenset(uid for uids in found.values() for uid in uids)


def _find(link: Any, archive: Archive, study: str, level: str, wanted: str, series: str = "") -> list[str]:
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID, query.SeriesInstanceUID = level, study, series
    setattr(query, wanted, "")
    deadline = time.monotonic() + archive.within
    found: list[str] = []
    for status, answer in link.send_c_find(query, FIND):
        if _pending(status, "C-FIND", deadline) and answer is not None:
            found.append(str(answer[wanted].value))
    return found


def move(archive: Archive, study: str, destination: str) -> int:
    """Has a study sent to an AE title; the number of images the archive says it sent."""
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study
    deadline = time.monotonic() + archive.within
    sent = 0
    with association(archive) as link:
        for status, _ in link.send_c_move(query, destination, MOVE):
            _pending(status, "C-MOVE", deadline)
            sent = int(status.get("NumberOfCompletedSuboperations", sent))
    return sent


def _pending(status: Any, what: str, deadline: float) -> bool:
    """True for an answer with more to come, False for the good end."""
    if time.monotonic() > deadline:
        raise Unreachable(f"{what} did not end in time")
    if status and status.Status in PENDING:
        return True
    _demand(status, what)
    return False


def _demand(status: Any, what: str) -> None:
    if not status:
        raise Unreachable(f"no answer to {what}")
    if status.Status != SUCCESS:
        raise StepFailed(f"{what} was answered with status 0x{status.Status:04X}")


@contextlib.contextmanager
def receiving(host: str, port: int, tls: ssl.SSLContext | None, aet: str = AET) -> Iterator[dict[str, str]]:
    """Takes what a C-MOVE sends. The dictionary fills up: SOP instance UID -> SHA-256 of the pixels.

    Raises Unreachable when the port cannot be had.
    """
    received: dict[str, str] = {}

    def keep(event: Any) -> int:
        received[str(event.dataset.SOPInstanceUID)] = pixel_digest(event.dataset)
        return SUCCESS

    entity = AE(ae_title=aet)
    entity.add_supported_context(SecondaryCaptureImageStorage, _SYNTAXES)
    entity.add_supported_context(VERIFICATION, _SYNTAXES)
    handlers: list[Any] = [(evt.EVT_C_STORE, keep)]
    try:
        server: Any = entity.start_server((host, port), block=False, evt_handlers=handlers, ssl_context=tls)
    except OSError as error:
        raise Unreachable(f"cannot listen on {host}:{port}: {error.strerror}") from error
    try:
        yield received
    finally:
        server.shutdown()
