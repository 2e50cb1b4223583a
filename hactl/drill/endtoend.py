"""Level L4: an image goes in by DICOM, is found, comes back both ways as it was, and is removed.

It belongs to a patient whose PatientID nobody else has (one for each node, and one for operators), so that
whatever an interrupted check leaves behind is removed by the next one, and by nobody else's.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pydicom import Dataset
from pydicom.uid import UID, SecondaryCaptureImageStorage
from pynetdicom import AE, build_role, evt

from hactl.drill import dicom_net, dicomweb
from hactl.drill.dicom_net import Archive
from hactl.drill.dicomweb import Web
from hactl.drill.images import Image, dataset, digest_of, pixel_digest
from hactl.errors import HactlError, StepFailed, Unreachable
from hactl.view.archive import EndToEnd

WITHIN: Final = 20.0  # s: all of it
STEP_WITHIN: Final = 6.0  # s: an answer
GET: Final = UID("1.2.840.10008.5.1.4.1.2.2.3")  # PS3.6 annex A: Study Root Query/Retrieve GET


@dataclass(frozen=True)
class Place:
    """Whom to call. `forget` removes all that belongs to `patient`; how many objects that were."""

    archive: Archive
    web: Web
    patient: str
    forget: Callable[[], int]


@dataclass
class _Run:
    place: Place
    image: Image
    end: float
    took: dict[str, float] = field(default_factory=dict)
    step: str = "leftovers"

    def steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        return (
            ("store", self.store), ("find", self.find), ("retrieve", self.retrieve), ("wado", self.wado),
            ("qido", self.qido), ("delete", self.delete),
        )  # fmt: skip

    def store(self) -> None:
        wanted = dataset(self.image)
        wanted.PatientID, wanted.PatientName = self.place.patient, "Hactl^Probe"
        wanted.StudyDescription = "end-to-end check"
        with dicom_net.association(self.place.archive) as link:
            status = link.send_c_store(wanted)
        if not status:
            raise Unreachable("no answer to C-STORE")
        if status.Status != dicom_net.SUCCESS:
            raise StepFailed(f"C-STORE was answered with status 0x{status.Status:04X}")

    def find(self) -> None:
        if self.image.uid not in dicom_net.find(self.place.archive, self.image.study):
            raise StepFailed("C-FIND does not find what was stored")

    def retrieve(self) -> None:
        self._same(_get(self.place.archive, self.image.study).get(self.image.uid), "C-GET")

    def wado(self) -> None:
        self._same(digest_of(dicomweb.wado(self.place.web, self.image)), "WADO-RS")

    def qido(self) -> None:
        if self.image.uid not in dicomweb.qido(self.place.web, self.image.study):
            raise StepFailed("QIDO-RS does not find what was stored")

    def delete(self) -> None:
        self.place.forget()
        if dicom_net.find(self.place.archive, self.image.study):
            raise StepFailed("what was deleted is still found")

    def _same(self, digest: str | None, how: str) -> None:
        if digest is None:
            raise StepFailed(f"{how} does not bring what was stored")
        if digest != self.image.digest:
            raise StepFailed(f"{how} brings other pixels than were stored")


def check(place: Place, boottime: Callable[[], float]) -> EndToEnd:
    """Never raises for what the archive does. At most about WITHIN seconds."""
    start = time.monotonic()
    run = _Run(place, Image(f"{place.patient}/{time.time_ns()}", 0), start + WITHIN)
    leftovers, why = 0, ""
    try:
        leftovers = place.forget()
        for name, step in run.steps():
            run.step = name
            began = time.monotonic()
            if began > run.end:
                raise Unreachable(f"not done within {WITHIN:g} s")
            step()
            run.took[name] = time.monotonic() - began
    except (HactlError, ValueError, AttributeError, KeyError) as error:  # what comes back may be no DICOM
        why = f"{run.step}: {error}"
        with contextlib.suppress(HactlError):  # the next check removes it
            place.forget()
    return EndToEnd(ok=not why, at=boottime(), took=run.took, why=why, leftovers=leftovers)


def _get(archive: Archive, study: str) -> dict[str, str]:
    """By C-GET: SOP instance UID -> SHA-256 of the pixels."""
    received: dict[str, str] = {}

    def keep(event: Any) -> int:
        received[str(event.dataset.SOPInstanceUID)] = pixel_digest(event.dataset)
        return dicom_net.SUCCESS

    entity = AE(ae_title=archive.calling)
    for name in ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout"):
        setattr(entity, name, archive.within)
    entity.add_requested_context(GET)
    entity.add_requested_context(SecondaryCaptureImageStorage)
    found: Any = entity.associate(
        archive.host, archive.port, ae_title=archive.aet,
        tls_args=(archive.tls, archive.host) if archive.tls else None,
        ext_neg=[build_role(SecondaryCaptureImageStorage, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )  # fmt: skip
    if not found.is_established:
        raise Unreachable("no DICOM association for C-GET")
    try:
        _fetched(found, study, archive.within)
    finally:
        if found.is_established:
            found.release()
        else:
            found.abort()
    return received


def _fetched(link: Any, study: str, within: float) -> None:
    query = Dataset()
    query.QueryRetrieveLevel, query.StudyInstanceUID = "STUDY", study
    deadline = time.monotonic() + within
    for status, _ in link.send_c_get(query, GET):
        if not status:
            raise Unreachable("no answer to C-GET")
        if time.monotonic() > deadline:
            raise Unreachable("C-GET did not end in time")
        if status.Status not in {dicom_net.SUCCESS, *dicom_net.PENDING}:
            raise StepFailed(f"C-GET was answered with status 0x{status.Status:04X}")
