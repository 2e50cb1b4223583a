"""Certificates that ended long ago, one of each CA: the TLS check shows them, and finds whoever takes one.

Certificate and key lie in one file, <state>/tls-check/*.pem. They were good on one day of 2001, when the CA
did not exist: no clock, however wrong, makes them open a door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from hactl.errors import Refused
from hactl.pki import ca, files
from hactl.pki.authority import AuthorityFiles
from hactl.pki.setup import Made
from hactl.pki.uses import CLUSTER_CA, DICOM_CA, CaKind, CertSpec

FOLDER: Final = "tls-check"
NAMES: Final[Mapping[CaKind, str]] = {CLUSTER_CA: "expired.pem", DICOM_CA: "dicom-expired.pem"}
START: Final = datetime(2001, 1, 1, tzinfo=UTC)
LIFE: Final = timedelta(days=1)


def pem(authority: ca.Authority) -> bytes:
    """A client's certificate with its key. RSA: what knows no other kind shall refuse it for its age."""
    wanted = CertSpec(
        "", "expired", "hactl-expired", (), server=False, client=True, owner="", group="", rsa=True,
        ca=authority.kind,
    )  # fmt: skip
    key = ca.new_leaf_key(wanted)
    certificate = ca.issue(authority, wanted, key, START, LIFE)
    return ca.certificate_pem([certificate]) + ca.key_pem(key)


def ensure(state: Path, authorities: Mapping[CaKind, AuthorityFiles]) -> Iterator[Made]:
    """Those that are missing, or of a CA that signs no more. Only under the lock.

    Where the CA's key is kept elsewhere nothing is made, and nothing refused: the check can do without.
    """
    for kind, name in NAMES.items():
        authority, path = authorities[kind], state / FOLDER / name
        if not authority.key.exists() or _is_of(path, authority.signer()):
            continue
        files.ensure_folder(path.parent)
        files.write(path, pem(authority.authority()), files.PRIVATE)
        yield Made(path, "an expired certificate for the TLS check")


def _is_of(path: Path, signer: x509.Certificate) -> bool:
    found = files.read_public(path)
    if found is None:
        return False
    try:
        return ca.signed_by(ca.load_certificates(found, str(path))[0], signer)
    except Refused:
        return False
