"""The SSH key that hactl reaches the nodes with: ed25519 in OpenSSH's own format. No files."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hactl.errors import Refused


@dataclass(frozen=True)
class SshKey:
    """Both halves as OpenSSH writes them into id_ed25519 and id_ed25519.pub."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"SshKey({self.public.decode('ascii').strip()})"


def generate(cluster: str) -> SshKey:
    """A new key without a passphrase: `hactl` must work from a timer. The file's mode protects it."""
    key = Ed25519PrivateKey.generate()
    form = serialization.PrivateFormat.OpenSSH
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return SshKey(private, _public(key, cluster))


def load(private: bytes, cluster: str, source: str) -> SshKey:
    """The public half follows from the private one. Raises Refused when `private` is not such a key."""
    try:
        key = serialization.load_ssh_private_key(private, password=None)
    except (ValueError, TypeError):
        raise Refused(f"{source} is not an OpenSSH key without a passphrase") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Refused(f"{source} is not an ed25519 key")
    return SshKey(private, _public(key, cluster))


def _public(key: Ed25519PrivateKey, cluster: str) -> bytes:
    form = serialization.PublicFormat.OpenSSH
    return (
        key.public_key().public_bytes(serialization.Encoding.OpenSSH, form) + f" hactl-{cluster}\n".encode()
    )
