"""When the certificates that lie on this node end: all between nodes is mutual TLS, so that is an outage."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509

Stamp = tuple[int, int]


class NodeCertificates:
    """The files *.crt of a folder, each read when it is another one than before. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[Path, tuple[Stamp, float]] = {}

    def ends(self) -> dict[str, float]:
        """By the file's name: when the first in it ends, in Unix time. What cannot be read is left out."""
        with self._lock:
            self._known = dict(self._look())
            return {path.stem: end for path, (_, end) in sorted(self._known.items())}

    def _look(self) -> Iterator[tuple[Path, tuple[Stamp, float]]]:
        for path in self._folder.glob("*.crt"):
            try:
                found = path.stat()
                stamp = (found.st_mtime_ns, found.st_ino)
                known = self._known.get(path)
                yield path, known if known and known[0] == stamp else (stamp, _end(path))
            except (OSError, ValueError):
                continue  # it is being replaced; or the doctor, on the operator's machine, says what is wrong


def _end(path: Path) -> float:
    found = x509.load_pem_x509_certificates(path.read_bytes())
    return min(certificate.not_valid_after_utc.timestamp() for certificate in found)
