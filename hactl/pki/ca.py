"""The cluster's certificate authority: makes keys and certificates, reads them back. No files, no clock.

Algorithms: EC P-256 with SHA-256; RSA for the keys of servers that old DICOM software must reach (uses.py).
Profiles follow RFC 5280: critical basicConstraints and keyUsage, subject and authority key identifiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hactl.errors import Refused
from hactl.pki.uses import CLUSTER_CA, LEAF_DAYS, CaKind, CertSpec

CA_LIFE: Final = timedelta(days=3653)  # 10 years
LEAF_LIFE: Final = timedelta(days=LEAF_DAYS)
BACKDATE: Final = timedelta(hours=1)  # a node whose clock is behind must not refuse a new one


RSA_BITS: Final = 3072  # as strong as P-256
LeafKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Authority:
    """A CA that can sign: its certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    kind: CaKind = CLUSTER_CA


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_leaf_key(wanted: CertSpec) -> LeafKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS) if wanted.rsa else new_key()


def new_authority(
    cluster: str, key: ec.EllipticCurvePrivateKey, now: datetime, kind: CaKind = CLUSTER_CA
) -> Authority:
    """A self-signed CA. Its name holds part of the key's identifier: two CAs of one cluster differ."""
    ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    name = x509.Name([_cn(f"{kind.title} {cluster} {ski.digest[:4].hex()}")])
    builder = (
        _builder(name, name, key.public_key(), now, now + CA_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(ski, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False)
    )
    return Authority(builder.sign(key, hashes.SHA256()), key, kind)


def issue(
    authority: Authority,
    wanted: CertSpec,
    key: LeafKey,
    now: datetime,
    life: timedelta | None = None,
) -> x509.Certificate:
    """Sign one certificate. It never outlives its CA. Raises Refused when the CA has expired."""
    issuer = authority.certificate
    end = min(now + (life or timedelta(days=wanted.days)), issuer.not_valid_after_utc)
    if end <= now:
        hint = f"hactl pki renew {authority.kind.option} start"
        raise Refused(f"the CA ended on {end:%Y-%m-%d}", hint=hint)
    ski = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(x509.Name([_cn(wanted.cn)]), issuer.subject, key.public_key(), now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(_extended_key_usage(wanted), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski), critical=False)
    )
    if wanted.sans:
        names = x509.SubjectAlternativeName([_general_name(s) for s in wanted.sans])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(authority.key, hashes.SHA256())


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
    )


def _cn(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,  # means RSA key transport, which has no forward secrecy
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _extended_key_usage(wanted: CertSpec) -> x509.ExtendedKeyUsage:
    usages = []
    if wanted.server:
        usages.append(ExtendedKeyUsageOID.SERVER_AUTH)
    if wanted.client:
        usages.append(ExtendedKeyUsageOID.CLIENT_AUTH)
    return x509.ExtendedKeyUsage(usages)


# Reading back


def sans_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """Names and addresses as text, sorted: comparable with CertSpec.sans."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(sorted(str(name.value) for name in found))


def cn_of(certificate: x509.Certificate) -> str:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def usages_of(certificate: x509.Certificate) -> tuple[bool, bool]:
    """Whether it may serve, and whether it may be a client."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return (False, False)
    return (ExtendedKeyUsageOID.SERVER_AUTH in found, ExtendedKeyUsageOID.CLIENT_AUTH in found)


def is_rsa(certificate: x509.Certificate) -> bool:
    return isinstance(certificate.public_key(), rsa.RSAPublicKey)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer` really signed it: the names match and the signature holds."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def belongs(certificate: x509.Certificate, key: LeafKey) -> bool:
    return certificate.public_key() == key.public_key()


def until(certificate: x509.Certificate) -> datetime:
    return certificate.not_valid_after_utc


# PEM


def certificate_pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def key_pem(key: LeafKey) -> bytes:
    """PKCS#8, unencrypted: servers must start without a human. The file's mode protects it."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def load_certificates(pem: bytes, source: str) -> tuple[x509.Certificate, ...]:
    """Raises Refused when `pem` holds no certificate or a broken one; `source` is named in the sentence."""
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise Refused(f"{source} is not a certificate in PEM form") from error


def load_leaf_key(pem: bytes, source: str) -> LeafKey:
    """Raises Refused when `pem` is not an unencrypted key; the key itself never gets into the sentence."""
    try:
        # Unchecked: it lies in a folder that only its owner writes, and the check of an RSA key takes 0.1 s.
        key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError):
        raise Refused(f"{source} is not a private key in unencrypted PEM form") from None
    if not isinstance(key, LeafKey):
        raise Refused(f"{source} is neither an EC nor an RSA key")
    return key


def load_key(pem: bytes, source: str) -> ec.EllipticCurvePrivateKey:
    """A CA's key. Raises Refused as `load_leaf_key`, and when it is not an EC key."""
    key = load_leaf_key(pem, source)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Refused(f"{source} is not an EC key")
    return key
