from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.pki import scram

# The example conversation of RFC 7677 section 3.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
PROOF = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def test_keys_give_the_proof_and_signature_of_rfc_7677() -> None:
    client_key, stored_key, server_key = scram.keys("pencil", SALT, 4096)
    signature = hmac.digest(stored_key, AUTH_MESSAGE, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    assert base64.b64encode(proof).decode() == PROOF
    assert base64.b64encode(hmac.digest(server_key, AUTH_MESSAGE, "sha256")).decode() == SERVER_SIGNATURE


def test_verifier_has_postgresqls_form() -> None:
    assert scram.verifier("pencil", SALT) == (
        "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


@pytest.mark.parametrize("bad", ["", "naïve", "tab\there", "line\n", "\u00a0", "\u00ad"])
def test_passwords_that_saslprep_would_change_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        scram.keys(bad, SALT)


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=40),
    st.binary(min_size=16, max_size=16),
)
def test_stored_key_is_the_hash_of_the_client_key_whatever_the_password(password: str, salt: bytes) -> None:
    client_key, stored_key, _ = scram.keys(password, salt, iterations=2)
    assert hashlib.sha256(client_key).digest() == stored_key
    assert password not in scram.verifier(password, salt, iterations=2) or len(password) < 16
