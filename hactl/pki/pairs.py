"""A certificate and its key, two files that must change as one.

The new key is written beside the old one (`USE.key.next`), then the certificate is replaced, then the key
moves into place. Wherever that stops, the certificate says which of the two keys is its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from hactl.errors import Refused
from hactl.pki import ca, files
from hactl.pki.due import Found
from hactl.pki.uses import CertSpec


class Pair:
    """certs/NODE/USE.crt and USE.key in the state folder."""

    def __init__(self, folder: Path, use: str) -> None:
        self.crt = folder / f"{use}.crt"
        self.key = folder / f"{use}.key"
        self.next_key = folder / f"{use}.key.next"

    def find(self) -> Found | None:
        """What is there; None without a certificate. A key that others may read raises Refused."""
        pem = files.read_public(self.crt)
        if pem is None:
            return None
        try:
            certificate = ca.load_certificates(pem, str(self.crt))[0]
        except Refused:
            return Found(None, whole=False)
        whole = any(_is_key_of(path, certificate) for path in (self.key, self.next_key) if path.exists())
        return Found(certificate, whole)

    def settle(self) -> None:
        """Finish or undo what an interrupted `issue` left. Only under the lock."""
        if not self.next_key.exists():
            return
        found = self.find()
        if found and found.certificate and _is_key_of(self.next_key, found.certificate):
            files.move(self.next_key, self.key)
        else:
            self.next_key.unlink()

    def issue(
        self, authority: ca.Authority, wanted: CertSpec, now: datetime, life: timedelta | None = None
    ) -> None:
        """A new key and a new certificate, good for `life` or as the table of uses has it. Under the lock."""
        files.ensure_folder(self.crt.parent)
        key = ca.new_leaf_key(wanted)
        certificate = ca.issue(authority, wanted, key, now, life)
        files.write(self.next_key, ca.key_pem(key), files.PRIVATE)
        files.write(self.crt, ca.certificate_pem([certificate]), files.PUBLIC)
        files.move(self.next_key, self.key)


def _is_key_of(path: Path, certificate: x509.Certificate) -> bool:
    raw = files.read_private(path)
    try:
        return ca.belongs(certificate, ca.load_leaf_key(raw, str(path)))
    except Refused:
        return False
