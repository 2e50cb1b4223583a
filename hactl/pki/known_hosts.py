"""Pinned SSH host keys in OpenSSH's known_hosts format. Pure: text in, text out."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass

from hactl.errors import Refused


@dataclass(frozen=True)
class HostKey:
    """What a server proves itself with: `kind` such as ssh-ed25519, `blob` the public key in base64."""

    kind: str
    blob: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it: SHA256: and base64 without padding."""
        digest = hashlib.sha256(base64.b64decode(self.blob)).digest()
        return "SHA256:" + base64.b64encode(digest).decode("ascii").rstrip("=")


def host_name(address: str, port: int) -> str:
    """How known_hosts names a server: the bare address on port 22, else [address]:port."""
    return address if port == 22 else f"[{address}]:{port}"


def lookup(text: str, address: str, port: int) -> tuple[HostKey, ...]:
    """Every key pinned for this server, in the file's order; hashed lines are understood too."""
    name = host_name(address, port)
    return tuple(key for _, names, key in _entries(text) if _names_match(names, name))


def pin(text: str, address: str, port: int, key: HostKey) -> str:
    """The file with `key` pinned; the same text when it already is.

    Raises:
        Refused: another key is pinned. A key of another kind counts as another key, because whoever sits in
            between may offer only the kind that is not pinned.

    """
    pinned = lookup(text, address, port)
    if key in pinned:
        return text
    if pinned:
        raise Refused(
            f"the host key of {address} changed: pinned {', '.join(k.fingerprint for k in pinned)}, "
            f"offered {key.fingerprint}",
            ["somebody may be in between; or the machine was installed anew"],
            hint="read it on the console, then: hactl pki trust NODE --replace --fingerprint SHA256:...",
        )
    separator = "" if text.endswith("\n") or not text else "\n"
    return f"{text}{separator}{host_name(address, port)} {key.kind} {key.blob}\n"


def unpin(text: str, address: str, port: int) -> str:
    """The file without this server's keys. A line that names several servers keeps the others."""
    name = host_name(address, port)
    lines = text.splitlines(keepends=True)
    for number, names, _ in _entries(text):
        if _names_match(names, name):
            rest = ",".join(n for n in names.split(",") if not _name_matches(n, name))
            lines[number] = lines[number].replace(names, rest, 1) if rest else ""
    return "".join(lines)


def _entries(text: str) -> Iterator[tuple[int, str, HostKey]]:
    """(line number, names, key); comments, markers (@revoked and such) and broken lines left out."""
    for number, line in enumerate(text.splitlines()):
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith(("#", "@")) and _is_base64(fields[2]):
            yield number, fields[0], HostKey(fields[1], fields[2])


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:  # bad padding, or not even ASCII
        return False
    return True


def _names_match(names: str, name: str) -> bool:
    return any(_name_matches(candidate, name) for candidate in names.split(","))


def _name_matches(candidate: str, name: str) -> bool:
    if not candidate.startswith("|1|"):
        return candidate == name
    parts = candidate.split("|")  # |1|salt|hash: HMAC-SHA1 of the name, OpenSSH's HashKnownHosts
    if len(parts) != 4 or not (_is_base64(parts[2]) and _is_base64(parts[3])):
        return False
    digest = hmac.digest(base64.b64decode(parts[2]), name.encode(), "sha1")
    return hmac.compare_digest(digest, base64.b64decode(parts[3]))
