from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from hactl.errors import Refused
from hactl.pki import ca, due, sshkey
from hactl.pki.due import Found, State
from hactl.pki.uses import CertSpec
from tests.support.pki import NOON

WANTED = CertSpec(
    "db1", "patroni", "db1", ("127.0.0.1", "192.0.2.11", "db1"), True, True, "postgres", "postgres"
)
CLIENT = replace(WANTED, use="hactl", cn="hactl-db1", sans=(), server=False)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> ca.Authority:
    return ca.new_authority("demo", ca.new_key(), NOON)


def issue(authority: ca.Authority, wanted: CertSpec = WANTED) -> x509.Certificate:
    return ca.issue(authority, wanted, ca.new_key(), NOON)


def test_the_ca_is_one(authority: ca.Authority) -> None:
    cert = authority.certificate
    constraints = cert.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    assert cert.not_valid_after_utc - NOON == timedelta(days=3653)
    assert ca.cn_of(cert).startswith("hactl CA demo ")
    assert isinstance(cert.public_key(), ec.EllipticCurvePublicKey)


def test_a_leaf_is_what_was_asked_for(authority: ca.Authority) -> None:
    cert = issue(authority)
    assert ca.cn_of(cert) == "db1"
    assert ca.sans_of(cert) == tuple(sorted(WANTED.sans))
    sans = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(a) for a in sans.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "192.0.2.11"]
    assert sans.get_values_for_type(x509.DNSName) == ["db1"]
    constraints = cert.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    assert not usage.value.key_encipherment
    assert cert.not_valid_after_utc == NOON + timedelta(days=397)
    assert cert.not_valid_before_utc == NOON - timedelta(hours=1)


def test_key_identifiers_link_leaf_and_ca(authority: ca.Authority) -> None:
    ski = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    aki = issue(authority).extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert aki.key_identifier == ski.digest


@pytest.mark.parametrize(
    ("server", "client", "want"),
    [
        (True, True, {Eku.SERVER_AUTH, Eku.CLIENT_AUTH}),
        (True, False, {Eku.SERVER_AUTH}),
        (False, True, {Eku.CLIENT_AUTH}),
    ],
)
def test_extended_key_usage(authority: ca.Authority, server: bool, client: bool, want: set[object]) -> None:  # noqa: FBT001
    cert = issue(authority, replace(WANTED, server=server, client=client))
    assert set(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == want
    assert ca.usages_of(cert) == (server, client)


def test_a_pure_client_has_no_names(authority: ca.Authority) -> None:
    cert = issue(authority, CLIENT)
    with pytest.raises(x509.ExtensionNotFound):
        cert.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert ca.sans_of(cert) == ()


def test_serials_are_random_and_positive(authority: ca.Authority) -> None:
    serials = {issue(authority).serial_number for _ in range(20)}
    assert len(serials) == 20
    assert all(0 < s < 2**159 for s in serials)
    assert max(serials).bit_length() > 140


def test_a_leaf_never_outlives_its_ca(authority: ca.Authority) -> None:
    end = authority.certificate.not_valid_after_utc
    assert ca.issue(authority, WANTED, ca.new_key(), end - DAY).not_valid_after_utc == end


def test_an_expired_ca_signs_nothing(authority: ca.Authority) -> None:
    with pytest.raises(Refused, match="the CA ended on 2036-03-01"):
        ca.issue(authority, WANTED, ca.new_key(), authority.certificate.not_valid_after_utc)


def test_an_rsa_leaf_on_demand(authority: ca.Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ca, "RSA_BITS", 3072)  # as in production
    key = ca.new_leaf_key(replace(WANTED, rsa=True))
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
    cert = ca.issue(authority, replace(WANTED, rsa=True), key, NOON)
    assert ca.is_rsa(cert)
    assert ca.belongs(cert, ca.load_leaf_key(ca.key_pem(key), "k"))


def test_keys_and_certificates_survive_pem(authority: ca.Authority) -> None:
    assert ca.belongs(authority.certificate, ca.load_key(ca.key_pem(authority.key), "k"))
    pair = (authority.certificate, issue(authority))
    assert ca.load_certificates(ca.certificate_pem(pair), "c") == pair


ED25519 = Ed25519PrivateKey.generate().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
LOCKED = ca.new_key().private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
)


@pytest.mark.parametrize(
    "pem", [b"", b"rubbish", ED25519, LOCKED], ids=["empty", "rubbish", "ed25519", "locked"]
)
def test_unusable_keys_are_one_sentence(pem: bytes) -> None:
    with pytest.raises(Refused, match=r"db1\.key"):
        ca.load_key(pem, "db1.key")


def test_a_foreign_ca_with_the_same_name_did_not_sign(authority: ca.Authority) -> None:
    foreign = ca.new_authority("demo", ca.new_key(), NOON)
    assert ca.signed_by(issue(authority), authority.certificate)
    assert not ca.signed_by(issue(foreign), authority.certificate)
    forged = ca.Authority(authority.certificate, ca.new_key())  # our name and identifier, another key
    assert not ca.signed_by(issue(forged), authority.certificate)


# due.py


@pytest.mark.parametrize(
    ("change", "days", "state", "why"),
    [
        ({}, 0, State.OK, ""),
        ({}, 366, State.OK, ""),
        ({}, 367, State.EXPIRING, "on 2027-04-02"),
        ({}, 397, State.EXPIRED, "since 2027-04-02"),
        ({"cn": "db2"}, 0, State.DIFFERS, "made for db1, not db2"),
        (
            {"sans": ("127.0.0.1", "192.0.2.99", "db1")},
            0,
            State.DIFFERS,
            "lacks 192.0.2.99, still names 192.0.2.11",
        ),
        ({"client": False}, 0, State.DIFFERS, "has another usage"),
        ({"rsa": True}, 0, State.DIFFERS, "has another kind of key"),
        ({"client": False}, 400, State.EXPIRED, "since 2027-04-02"),
    ],
)
def test_judgement(
    authority: ca.Authority, change: dict[str, object], days: int, state: State, why: str
) -> None:
    found = Found(issue(authority), whole=True)
    info = due.judge(replace(WANTED, **change), found, authority.certificate, NOON + days * DAY, due.SOON)  # type: ignore[arg-type]
    assert (info.state, info.why) == (state, why)
    assert info.days_left == 397 - days


def test_judgement_of_what_is_not_there(authority: ca.Authority) -> None:
    signer = authority.certificate
    other = ca.new_authority("demo", ca.new_key(), NOON).certificate
    cert = issue(authority)
    assert due.judge(WANTED, None, signer, NOON, due.SOON).state is State.MISSING
    assert due.judge(WANTED, Found(None, whole=False), signer, NOON, due.SOON).state is State.BROKEN
    assert (
        due.judge(WANTED, Found(cert, whole=False), signer, NOON + 500 * DAY, due.SOON).state is State.BROKEN
    )
    assert due.judge(WANTED, Found(cert, whole=True), other, NOON, due.SOON).state is State.OLD_CA


def test_worst_first() -> None:
    def info(use: str, state: State, days: int | None) -> due.CertInfo:
        return due.CertInfo("n", use, "n", (), state, days_left=days)

    shuffled = [
        info("d", State.OK, 90), info("e", State.UNUSED, 1), info("c", State.OK, 40),
        info("b", State.EXPIRING, 3), info("a", State.MISSING, None),
    ]  # fmt: skip
    assert [i.use for i in due.worst_first(shuffled)] == ["a", "b", "c", "d", "e"]


# sshkey.py


def test_ssh_key_is_openssh_ed25519_and_its_public_half_follows() -> None:
    key = sshkey.generate("demo")
    assert key.private.startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert key.public.startswith(b"ssh-ed25519 AAAA")
    assert key.public.endswith(b" hactl-demo\n")
    assert sshkey.load(key.private, "demo", "k") == key
    assert "PRIVATE" not in repr(key)


@pytest.mark.parametrize("raw", [b"", b"rubbish", ca.key_pem(ca.new_key())])
def test_what_is_no_ssh_key_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="id_ed25519"):
        sshkey.load(raw, "demo", "id_ed25519")
