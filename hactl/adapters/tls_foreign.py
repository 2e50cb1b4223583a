"""A certificate of a CA that nobody knows, made for one check and thrown away with it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hactl.adapters.tls_offer import Pair

_DAY: Final = dt.timedelta(days=1)


def make(folder: Path, name: str) -> Pair:
    """Good in everything but who signed it. `folder` must be nobody else's.

    RSA, so that a server which knows no other kind refuses it for its signer and for nothing else.
    """
    ca_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    issuer = _name("nobody's CA")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name)).issuer_name(issuer)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.now(dt.UTC) - _DAY).not_valid_after(dt.datetime.now(dt.UTC) + _DAY)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
            critical=False,
        )
        .sign(ca_key, hashes.SHA256())
    )  # fmt: skip
    pair = Pair(folder / "foreign.crt", folder / "foreign.key")
    pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    handle = os.open(pair.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        form = serialization.PrivateFormat.PKCS8
        file.write(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return pair


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
