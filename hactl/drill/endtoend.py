"""Level L4: an image goes in by DICOM, is found, comes back both ways as it was, and is removed.

Where nobody can remove it, it is the same image each time: the archive has it once, however often it comes.

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
# PS3.7 annex C: duplicate SOP instance. PS3.4 B.2.3: kept, with other attributes; the pixels are compared.
_THERE_ALREADY: Final = frozenset({0x0111, 0xB000})
GET: Final = UID("1.2.840.10008.5.1.4.1.2.2.3")  # PS3.6 annex A: Study Root Query/Retrieve GET


@dataclass(frozen=True)
class Place:
    """Whom to call. `forget` removes all that belongs to `patient`; how many objects that were.

    None: nothing can be removed there, so what is stored stays. `web` None: it has no DICOMweb.
    """

    archive: Archive
    web: Web | None
    patient: str
    forget: Callable[[], int] | None

    def image(self, moment: int) -> Image:
        return Image(self.patient if self.forget is None else f"{self.patient}/{moment}", 0)


class NoCGet(StepFailed):
    """It does not offer C-GET: nothing is wrong, and there may be another way."""


@dataclass
class _Run:
    place: Place
    image: Image
    end: float
    took: dict[str, float] = field(default_factory=dict)
    step: str = "leftovers"

    def steps(self) -> tuple[tuple[str, Callable[[], None]], ...]:
        steps = [("store", self.store), ("find", self.find), ("retrieve", self.retrieve)]
        if self.place.web is not None:
            steps += [("wado", self.wado), ("qido", self.qido)]
        if self.place.forget is not None:
            steps.append(("delete", self.delete))
        return tuple(steps)

    def store(self) -> None:
        wanted = dataset(self.image)
        wanted.PatientID, wanted.PatientName = self.place.patient, "Hactl^Probe"
        wanted.StudyDescription = "end-to-end check"
        with dicom_net.association(self.place.archive) as link:
            status = link.send_c_store(wanted)
        if not status:
            raise Unreachable("no answer to C-STORE")
        there = self.place.forget is None and status.Status in _THERE_ALREADY
        if status.Status != dicom_net.SUCCESS and not there:
            raise StepFailed(f"C-STORE was answered with status 0x{status.Status:04X}")

    def find(self) -> None:
        if self.image.uid not in dicom_net.find(self.place.archive, self.image.study):
            raise StepFailed("C-FIND does not find what was stored")

    def retrieve(self) -> None:
        try:
            found = _get(self.place.archive, self.image.study)
        except NoCGet:
            if self.place.web is None:
                raise
            return  # WADO-RS brings it
        self._same(found.get(self.image.uid), "C-GET")

    def wado(self) -> None:
        self._same(digest_of(dicomweb.wado(self._web(), self.image)), "WADO-RS")

    def qido(self) -> None:
        if self.image.uid not in dicomweb.qido(self._web(), self.image.study):
            raise StepFailed("QIDO-RS does not find what was stored")

    def _web(self) -> Web:
        if self.place.web is None:
            raise StepFailed("it has no DICOMweb")
        return self.place.web

    def delete(self) -> None:
        self.forget()
        if dicom_net.find(self.place.archive, self.image.study):
            raise StepFailed("what was deleted is still found")

    def forget(self) -> int:
        return 0 if self.place.forget is None else self.place.forget()

    def _same(self, digest: str | None, how: str) -> None:
        if digest is None:
            raise StepFailed(f"{how} does not bring what was stored")
        if digest != self.image.digest:
            raise StepFailed(f"{how} brings other pixels than were stored")


def check(place: Place, boottime: Callable[[], float]) -> EndToEnd:
    """Never raises for what the archive does. At most about WITHIN seconds."""
    start = time.monotonic()
    run = _Run(place, place.image(time.time_ns()), start + WITHIN)
    leftovers, why = 0, ""
    try:
        leftovers = run.forget()
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
            run.forget()
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
        evt_handlers=[(evt.EVT_C_STORE, keep), dicom_net.deadline_of(archive)],
    )  # fmt: skip
    if not found.is_established:
        raise Unreachable("no DICOM association for C-GET")
    try:
        if GET not in {c.abstract_syntax for c in found.accepted_contexts}:
            raise NoCGet("it offers no C-GET")
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
