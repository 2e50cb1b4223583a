"""Small DICOM images that anyone can make again: UIDs and pixels follow from the run's name and a number."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import Any

from pydicom import Dataset, dcmread, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

PATIENT = "HACTL-DRILL"  # reserved: nobody's images but ours
SIDE = 64  # pixels; one byte each
IN_SERIES = 20  # images


@dataclass(frozen=True)
class Image:
    """Which image of which run it is; everything else follows."""

    run: str
    number: int

    @property
    def uid(self) -> str:
        return _uid("image", self.run, str(self.number))

    @property
    def series(self) -> str:
        return _uid("series", self.run, str(self.number // IN_SERIES))

    @property
    def study(self) -> str:
        return _uid("study", self.run)

    @property
    def pixels(self) -> bytes:
        return hashlib.shake_256(f"{self.run}/{self.number}".encode()).digest(SIDE * SIDE)

    @property
    def digest(self) -> str:
        """SHA-256 of the pixels: what must come back."""
        return hashlib.sha256(self.pixels).hexdigest()


def _uid(*parts: str) -> str:
    return str(generate_uid(entropy_srcs=["hactl", *parts]))


def make(run: str, count: int, *, first: int = 0) -> tuple[Image, ...]:
    return tuple(Image(run, number) for number in range(first, first + count))


def dataset(image: Image) -> Any:
    """A Secondary Capture image object with the attributes its IOD demands."""
    ds: Any = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = image.uid
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, image.uid
    ds.StudyInstanceUID, ds.SeriesInstanceUID = image.study, image.series
    ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = "Hactl^Drill", PATIENT, "", "O"
    ds.StudyDate, ds.StudyTime, ds.StudyID, ds.AccessionNumber = "20240101", "120000", "1", ""
    ds.ReferringPhysicianName, ds.StudyDescription = "", f"drill {image.run}"[:64]
    ds.Modality, ds.ConversionType = "OT", "SYN"
    ds.SeriesNumber, ds.InstanceNumber = image.number // IN_SERIES + 1, image.number + 1
    ds.Rows = ds.Columns = SIDE
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.PixelData = image.pixels
    ds["PixelData"].VR = "OB"
    return ds


def encoded(image: Image) -> bytes:
    """The image as a DICOM file."""
    out = io.BytesIO()
    dcmwrite(out, dataset(image), enforce_file_format=True)
    return out.getvalue()


def digest_of(file: bytes) -> str:
    """The pixels' SHA-256 of a DICOM file. Raises pydicom's InvalidDicomError or AttributeError."""
    return pixel_digest(dcmread(io.BytesIO(file)))


def pixel_digest(ds: Any) -> str:
    return hashlib.sha256(ds.PixelData).hexdigest()
