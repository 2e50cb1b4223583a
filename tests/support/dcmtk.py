"""DCMTK's programs as DICOM clients over TLS, and images for them to send."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from tests.support.servers import program


@dataclass(frozen=True)
class Image:
    path: Path
    study: str
    series: str
    instance: str
    pixels: bytes


def image(folder: Path, *, side: int = 64) -> Image:
    """A 16 bit picture of `side` x `side`, each with UIDs of its own."""
    study, series, instance = (str(generate_uid()) for _ in range(3))
    pixels = bytes(i % 251 for i in range(side * side * 2))
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, instance
    ds.StudyInstanceUID, ds.SeriesInstanceUID = study, series
    ds.PatientName, ds.PatientID, ds.Modality = "Test^Archive", "HACTL-TEST", "OT"
    ds.StudyID, ds.SeriesNumber, ds.InstanceNumber, ds.StudyDate = "1", 1, 1, "20260101"
    ds.Rows = ds.Columns = side
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PixelRepresentation = 1, "MONOCHROME2", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 16, 16, 15
    ds.PixelData = pixels
    path = folder / f"{instance}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return Image(path, study, series, instance, pixels)


@dataclass(frozen=True)
class Client:
    """Who calls (`aet`, certificate) and whom. `tls` are DCMTK's options for it; empty for plain DICOM."""

    host: str
    port: int
    tls: tuple[str, ...]
    aet: str = "HACTL"
    called: str = "PACS"

    def call(self, tool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv = [program(f"/usr/bin/{tool}", "dcmtk"), "-aet", self.aet, "-aec", self.called, *self.tls]
        return subprocess.run(
            [*argv, self.host, str(self.port), *arguments],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip


def tls_options(pki: Path, use: str) -> tuple[str, ...]:
    """Mutual TLS with the certificate `use` of `pki`, which must have dicom-ca.crt too."""
    return ("+tls", str(pki / f"{use}.key"), str(pki / f"{use}.crt"), "+cf", str(pki / "dicom-ca.crt"))
