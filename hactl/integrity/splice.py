"""Takes a DICOM signature out of a signed file, and puts it back beside the original's bytes.

A signature (PS3.3 C.12.1.1.3) is two data elements: (4FFE,0001), what it was made of, and (FFFA,FFFA), the
signature itself. They are kept as bytes, in the file's own transfer syntax. The original is only ever read.
"""

from __future__ import annotations

import io
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_partial
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    generate_uid,
)

MACS: Final = 0x4FFE0001
SIGNATURES: Final = 0xFFFAFFFA
PADDING: Final = 0xFFFCFFFC  # the one element that may follow a signature
LARGE: Final = 4096  # bytes; larger values are skipped, not read


# What pydicom trips over in files that are none, or broken ones.
_BROKEN: Final = (
    InvalidDicomError, ArithmeticError, AssertionError, AttributeError, EOFError, LookupError,
    NotImplementedError, TypeError, ValueError, struct.error,
)  # fmt: skip


class NotSignable(Exception):
    """The file cannot carry a signature of its own; the sentence says why."""


@dataclass(frozen=True)
class Block:
    macs: bytes
    signatures: bytes


def place(file: BinaryIO, tag: int) -> tuple[int, int]:
    """Where the first element from `tag` on begins, and its tag; the file's end, and 0, where there is none.

    Raises NotSignable: it cannot be read as DICOM.
    """
    found: list[int] = []

    def stop(at: Any, _vr: str | None, _length: int) -> bool:
        if int(at) >= tag:
            found.append(int(at))
            return True
        return False

    file.seek(0)
    try:
        read = read_partial(file, stop_when=stop, defer_size=LARGE, force=False)
    except _BROKEN as error:
        raise NotSignable(f"not readable as DICOM: {type(error).__name__}") from error
    if read.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        raise NotSignable("deflated: its elements have no place in the file")
    if not found:
        return file.seek(0, 2), 0
    return file.tell(), found[0]


def carries_its_own(file: BinaryIO) -> bool:
    """Whether somebody signed it before it came here. Raises NotSignable."""
    return place(file, SIGNATURES)[1] == SIGNATURES


def cut_out(signed: Path) -> Block:
    """The two elements of a file that had none before. Raises NotSignable."""
    with signed.open("rb") as file:
        begin, first = place(file, MACS)
        end, _ = place(file, MACS + 1)
        last, second = place(file, SIGNATURES)
        if (first, second) != (MACS, SIGNATURES):
            raise NotSignable("dcmsign left no signature")
        file.seek(begin)
        macs = file.read(end - begin)
        file.seek(last)
        return Block(macs, file.read())


def joined(original: BinaryIO, block: Block, target: BinaryIO) -> None:
    """The original with the signature in its places. Raises NotSignable, OSError."""
    middle, _ = place(original, MACS)
    end, last = place(original, SIGNATURES)
    if last:
        raise NotSignable("it ends with padding" if last == PADDING else "it is signed already")
    original.seek(0)
    _copy(original, target, middle)
    target.write(block.macs)
    _copy(original, target, end - middle)
    target.write(block.signatures)


def smallest() -> bytes:
    """A DICOM file without faults: whoever cannot sign it cannot sign anything."""
    ds: Any = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.PatientID = "HACTL"
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _copy(source: BinaryIO, target: BinaryIO, count: int) -> None:
    left = count
    while left:
        piece = source.read(min(left, shutil.COPY_BUFSIZE))  # type: ignore[attr-defined]
        if not piece:
            raise NotSignable("it ended early")
        target.write(piece)
        left -= len(piece)
