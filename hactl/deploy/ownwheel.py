"""hactl's own wheel, made from the files that run here: a checkout (editable install) or an installed wheel.

Written by hand instead of by a build tool: nothing has to be fetched, and equal files give an equal wheel,
byte by byte, so its hash tells whether the nodes have it.
"""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from hactl import resources
from hactl.errors import Refused

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file can express
_PACKAGE = Path(resources.__file__).resolve().parent
_WHEEL = "Wheel-Version: 1.0\nGenerator: hactl\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
# Of the installed metadata only this belongs to the wheel; the rest tells how it was installed here.
_METADATA = ("METADATA", "entry_points.txt", "licenses/LICENSE")


def name() -> str:
    return f"hactl-{_distribution().version}-py3-none-any.whl"


def _distribution() -> metadata.Distribution:
    try:
        return metadata.distribution("hactl")
    except metadata.PackageNotFoundError as error:
        raise Refused(
            "hactl runs uninstalled, so its dependencies are unknown", hint="pip install -e '.[deploy]'"
        ) from error


def _tree(folder: Path, prefix: str) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not {"__pycache__", "_data"}.intersection(path.relative_to(folder).parts):
            yield f"{prefix}/{path.relative_to(folder).as_posix()}", path.read_bytes()


def contents() -> dict[str, bytes]:
    """Path in the wheel -> content, but for RECORD."""
    dist = _distribution()
    files = dict(_tree(_PACKAGE, "hactl"))
    for data in ("templates", "ansible"):
        files.update(_tree(resources.folder(data), f"hactl/_data/{data}"))
    info = f"hactl-{dist.version}.dist-info"
    for entry in _METADATA:
        text = dist.read_text(entry)
        if text is None:
            raise Refused(f"this installation of hactl lacks its {entry}", hint="install hactl again")
        files[f"{info}/{entry}"] = text.encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    return files


def build(folder: Path) -> Path:
    """Write the wheel into `folder`; returns its path."""
    files = contents()
    info = f"hactl-{_distribution().version}.dist-info"
    record = "".join(f"{path},{_digest(content)},{len(content)}\n" for path, content in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / name()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return wheel


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def fingerprint() -> str:
    """SHA-256 of everything in the wheel."""
    total = hashlib.sha256()
    for path, content in sorted(contents().items()):
        total.update(f"{path}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
