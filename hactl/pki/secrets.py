"""The installation's passwords: generated once, kept in one file, never printed. No certificates here."""

from __future__ import annotations

import base64
import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, cast

from hactl.errors import Refused
from hactl.pki import scram

_ALPHABET: Final = string.ascii_letters + string.digits  # needs quoting in no SQL, JSON, pgpass, shell, URI
_LENGTH: Final = 32  # 190 bits
_BMC_LENGTH: Final = 16  # IPMI 1.5 cuts there, 2.0 at 20 bytes
_VERSION: Final = 1

# PostgreSQL roles with a password -> the field that holds it. The application's role is named by the spec.
_ROLES: Final = {
    "replicator": "replicator",
    "rewind": "rewind",
    "hactl_monitor": "monitor",
    "hactl_probe": "probe",
}


@dataclass(frozen=True)
class Secret:
    """A value that shows itself only when asked by name: not in repr, str, a log line or a traceback."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True)
class Secrets:
    """All passwords of one installation. PostgreSQL's superuser has none: local socket only.

    `scram` maps role names of PostgreSQL to verifiers; they are not passwords, but are kept as carefully.
    """

    replicator: Secret
    rewind: Secret
    app: Secret
    monitor: Secret
    probe: Secret
    patroni_rest: Secret
    orthanc_admin: Secret
    orthanc_ops: Secret
    bmc: Secret
    scram: Mapping[str, str]

    def __repr__(self) -> str:
        return "Secrets(***)"


PASSWORDS: Final = tuple(f.name for f in fields(Secrets) if f.name != "scram")
_SALTED: Final = ("app", *_ROLES.values())


def generate(existing: Mapping[str, Any] | None, app_role: str) -> dict[str, Any]:
    """The content of secrets.json: what `existing` has stays, what is missing is made.

    Only `app_role` follows the spec: it is a name, not a secret.
    """
    kept = existing or {}
    passwords = {n: secrets_text(_BMC_LENGTH if n == "bmc" else _LENGTH) for n in PASSWORDS}
    salts = {n: base64.b64encode(secrets.token_bytes(scram.SALT_BYTES)).decode("ascii") for n in _SALTED}
    return {
        "version": _VERSION,
        "app_role": app_role,
        "passwords": {**passwords, **kept.get("passwords", {})},
        "scram_salts": {**salts, **kept.get("scram_salts", {})},
    }


def secrets_text(length: int) -> str:
    """Random letters and digits; starts with a letter, so that nothing takes it for an option."""
    rest = (secrets.choice(_ALPHABET) for _ in range(length - 1))
    return secrets.choice(string.ascii_letters) + "".join(rest)


def dump(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, sort_keys=True) + "\n").encode("ascii")


def parse(raw: bytes, source: str) -> dict[str, Any]:
    """Raises Refused when it is no secrets file of ours; no byte of the content is in the sentence."""
    try:
        content = json.loads(raw)
    except ValueError:
        raise Refused(f"{source} is not valid JSON", hint="restore it from a backup") from None
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        raise Refused(f"{source} is not a secrets file of version {_VERSION}")
    for part in ("passwords", "scram_salts"):
        values = content.get(part)
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise Refused(f"{source}: {part} must be a table of texts")
    if not isinstance(content.get("app_role"), str):
        raise Refused(f"{source}: app_role is missing")
    return cast("dict[str, Any]", content)


def build(content: Mapping[str, Any], source: str) -> Secrets:
    """Raises Refused when something is missing, or unusable (somebody may have edited it by hand)."""
    passwords, salts = content["passwords"], content["scram_salts"]
    missing = [n for n in PASSWORDS if n not in passwords] + [n for n in _SALTED if n not in salts]
    if missing:
        raise Refused(f"{source} lacks {', '.join(sorted(set(missing)))}", hint="hactl pki init")
    roles = {str(content["app_role"]): "app", **_ROLES}
    verifiers = {role: _verifier(name, passwords[name], salts[name], source) for role, name in roles.items()}
    return Secrets(**{n: Secret(passwords[n]) for n in PASSWORDS}, scram=verifiers)


def _verifier(name: str, password: str, salt: str, source: str) -> str:
    try:
        return scram.verifier(password, base64.b64decode(salt, validate=True))
    except ValueError:
        raise Refused(f"{source}: {name} has a bad salt, or a password that is not printable ASCII") from None
