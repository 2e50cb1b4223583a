"""What an orphaned file is: a whole DICOM image or not, and the name under which Orthanc would know it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

UNDEFINED = 0xFFFFFFFF
_TOO_BAD = (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError)


@dataclass(frozen=True)
class Image:
    """`public_id`: Orthanc's name of the instance. `why` says what is wrong with it; empty: it is whole."""

    public_id: str
    why: str = ""


def look(path: Path) -> Image:
    """Reads the file to its end, all at once: an image must fit into memory."""
    try:
        found = pydicom.dcmread(path)
        short = next(_short(found), "")
        return Image(public_id(found), short)
    except _TOO_BAD as error:
        return Image("", f"not DICOM: {error or type(error).__name__}")


def _short(found: Any) -> Iterator[str]:
    """Elements with fewer bytes than they say: pydicom takes a file that ends in one for whole."""
    for tag in list(found.keys()):
        element = found.get_item(tag)  # as it was read: iterating would convert it, and its length is gone
        length, value = getattr(element, "length", None), getattr(element, "value", None)
        if (
            isinstance(length, int)
            and length != UNDEFINED
            and isinstance(value, bytes)
            and len(value) < length
        ):
            yield f"it ends in the midst of {tag}"


def public_id(found: Any) -> str:
    """As Orthanc derives it: SHA-1 of the four identifiers, in five groups of eight digits."""
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    parts = [str(getattr(found, name, "") or "").strip() for name in names]
    if not all(parts[1:]):
        raise ValueError("it has no study, series or instance UID")
    digits = hashlib.sha1("|".join(parts).encode(), usedforsecurity=False).hexdigest()
    return "-".join(digits[n : n + 8] for n in range(0, 40, 8))
