"""SCRAM-SHA-256 verifiers as PostgreSQL stores them (RFC 5802, RFC 7677). Pure.

The server gets only the verifier, so a deployed file never holds a password. With a stored salt it is the
same each time: a second deployment changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Final

ITERATIONS: Final = 4096  # RFC 7677's minimum, PostgreSQL's default; our passwords cannot be guessed
SALT_BYTES: Final = 16  # PostgreSQL's own length


def keys(password: str, salt: bytes, iterations: int = ITERATIONS) -> tuple[bytes, bytes, bytes]:
    """(ClientKey, StoredKey, ServerKey) of RFC 5802 section 3.

    `password` must be printable ASCII: SASLprep (RFC 4013), which PostgreSQL applies, leaves that as it is.

    Raises:
        ValueError: it is not.

    """
    if not (password and password.isascii() and password.isprintable()):
        raise ValueError("a password must be printable ASCII and not empty")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return client_key, hashlib.sha256(client_key).digest(), server_key


def verifier(password: str, salt: bytes, iterations: int = ITERATIONS) -> str:
    """`SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as in pg_authid.rolpassword."""
    _, stored_key, server_key = keys(password, salt, iterations)
    salt64, stored64, server64 = (base64.b64encode(b).decode("ascii") for b in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${iterations}:{salt64}${stored64}:{server64}"
