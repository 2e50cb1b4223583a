"""The kinds of values a spec holds. Each text type allows only what needs no quoting wherever it is rendered.

Every pattern has a sentence in SAYS, which is what a user reads instead of the pattern.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    StringConstraints,
    WrapValidator,
)
from pydantic_core import PydanticCustomError, ValidationError

from hactl.units import Seconds

SAYS: Final[dict[str, str]] = {}
KINDS: Final[dict[str, str]] = {}  # pattern -> the kind's name in the documentation


def _text(pattern: str, kind: str, says: str, *, max_length: int | None = None) -> StringConstraints:
    SAYS[pattern] = says
    KINDS[pattern] = kind
    return StringConstraints(pattern=pattern, max_length=max_length)


Name = Annotated[
    str,
    _text(
        r"^[a-z][a-z0-9-]{0,31}$",
        "name",
        "a name is a small letter, then small letters, digits and hyphens, 32 at most",
    ),
]
Interface = Annotated[
    str,
    _text(
        r"^[A-Za-z][A-Za-z0-9_.-]{0,14}$",
        "interface",
        "a network interface is a letter, then letters, digits, _ . -, 15 at most (the kernel's limit)",
    ),
]
# DICOM PS3.5 6.2 allows more; hactl allows what needs no quoting anywhere and no trimming (AE: at most 16).
AeTitle = Annotated[
    str,
    _text(
        r"^[A-Z0-9][A-Z0-9_.-]{0,15}$",
        "AE title",
        "an AE title has capital letters, digits, _ . - and at most 16 of them",
    ),
]
AbsolutePath = Annotated[
    str,
    _text(
        r"^(/[A-Za-z0-9_.-]*[A-Za-z0-9_-])+$",
        "path",
        "a path begins with /, has letters, digits, _ . - only, no '..' and no / at its end",
        max_length=200,
    ),
]
SqlName = Annotated[
    str,
    _text(
        r"^[a-z_][a-z0-9_]{0,62}$",
        "identifier",
        "an identifier is a small letter or _, then small letters, digits and _, 63 at most",
    ),
]
UserName = Annotated[
    str,
    _text(
        r"^[a-z_][a-z0-9_-]{0,31}$",
        "account",
        "an account is a small letter or _, then small letters, digits, _ and -, 32 at most",
    ),
]
# One line of authorized_keys without options; RSA only where nothing better is there (ssh-keygen -t ed25519).
_KEY_KINDS: Final = (
    r"ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)"
    r"|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com"
)


def _ssh_key(value: str) -> str:
    """Whole, and of the kind it says: what sshd would not take must not look as if it let somebody in."""
    kind, text = value.split(" ")[:2]
    try:
        fields = _ssh_fields(base64.b64decode(text, validate=True))
    except ValueError:
        fields = []
    if len(fields) < 2 or fields[0] != kind.encode():
        raise PydanticCustomError(
            "ssh_key", "is no {kind} key: its text is cut off or changed", {"kind": kind}
        )
    return value


def _ssh_fields(blob: bytes) -> list[bytes]:
    """RFC 4253: each with its length before. Raises ValueError: it does not end where it should."""
    found: list[bytes] = []
    while blob:
        length = int.from_bytes(blob[:4], "big")
        found.append(blob[4 : 4 + length])
        if len(found[-1]) != length:
            raise ValueError("cut off")
        blob = blob[4 + length :]
    return found


SshKey = Annotated[
    str,
    _text(
        rf"^({_KEY_KINDS}) [A-Za-z0-9+/]{{40,2000}}={{0,2}}( [A-Za-z0-9@._+-]{{1,100}})?$",
        "SSH public key",
        "an SSH public key is one line of ssh-keygen: kind, key, perhaps a plain comment; no options",
    ),
    AfterValidator(_ssh_key),
]
CertificateSubject = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9][A-Za-z0-9@._ +-]{0,62}[A-Za-z0-9]$",
        "common name",
        "a subject's common name has letters, digits, spaces and @ . _ + -, 2 to 64 of them",
    ),
]
AgentName = Annotated[
    str,
    _text(
        r"^fence_[a-z0-9_]{1,40}$",
        "fence agent",
        "a fence agent is the name of a program of Debian's fence-agents, for example fence_ipmilan",
    ),
]
WebhookUrl = Annotated[
    str,
    _text(
        r"^https?://[A-Za-z0-9._~:/?#@!&*+,;=%-]{1,500}$",
        "URL",
        "a webhook is an http:// or https:// address without spaces and quotes, 500 characters at most",
    ),
]
DicomWebUrl = Annotated[
    str,
    _text(
        r"^https?://[A-Za-z0-9][A-Za-z0-9.-]{0,189}(:[0-9]{1,5})?(/[A-Za-z0-9._~-]{1,60}){0,8}$",
        "URL",
        "a DICOMweb address is http:// or https://, a host, perhaps a port and a path, without / at its end",
    ),
]
EmailAddress = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9._+][A-Za-z0-9._+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,189}$",
        "e-mail address",
        "an e-mail address is plain: name@host, letters, digits, . _ + -",
    ),
]
Smarthost = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9][A-Za-z0-9.-]{0,189}:[0-9]{1,5}$",
        "mail server",
        "a mail server is host:port, for example mail.example.org:587",
    ),
]
LoginName = Annotated[
    str,
    _text(
        r"^[A-Za-z0-9._@+-]{1,200}$",
        "login name",
        "a login name has letters, digits and . _ @ + -, 200 at most",
    ),
]
TimeOfDay = Annotated[
    str,
    _text(
        r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
        "time of day",
        "a time of day is hours and minutes, 00:00 to 24:00",
    ),
]
# Whether there is such a zone is for whoever needs it: a node without zone data must still read the spec.
TimeZone = Annotated[
    str,
    _text(
        r"^[A-Z][A-Za-z0-9_+-]{0,40}(/[A-Z][A-Za-z0-9_+-]{0,40}){0,2}$",
        "time zone",
        "a time zone is a name of the IANA data base, for example Europe/Berlin",
    ),
]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]
RouterId = Annotated[int, Field(ge=1, le=255, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Megabytes = Annotated[int, Field(ge=0, le=100_000, strict=True)]
LoadCeiling = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]
Readers = Annotated[int, Field(ge=1, le=64, strict=True)]


def _only_text(value: object) -> object:
    # Python's ipaddress takes 3221225985 and [host, prefix] too; a spec is read by people.
    if not isinstance(value, str | IPv4Address | IPv4Interface | IPv4Network):
        raise PydanticCustomError("string_type", "must be text")
    return value


def _host(address: Any) -> Any:
    """Refuse addresses that no machine of a network can have."""
    kinds = {
        "the unspecified address": address.is_unspecified,
        "a loopback address": address.is_loopback,
        "a multicast address": address.is_multicast,
        "a reserved address": address.is_reserved,
    }
    for kind, found in kinds.items():
        if found:
            raise PydanticCustomError("address_kind", "is {kind}, not a machine's", {"kind": kind})
    return address


Address = Annotated[IPv4Address, BeforeValidator(_only_text), AfterValidator(_host)]
InterfaceAddress = Annotated[IPv4Interface, BeforeValidator(_only_text), AfterValidator(_host)]
Network = Annotated[IPv4Network, BeforeValidator(_only_text)]


DURATION_TEXT: Final = r"^[0-9]{1,9}(\.[0-9]{1,9})?(ms|s|min|h|d)$"


def _duration(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return Seconds.parse(value)
    except ValueError as error:
        raise PydanticCustomError("is_instance_of", "is not a duration") from error


Duration = Annotated[
    InstanceOf[Seconds],  # else pydantic would take {value: 3} for one
    BeforeValidator(
        _duration,
        json_schema_input_type=Annotated[str, StringConstraints(pattern=DURATION_TEXT)],
    ),
    PlainSerializer(str, return_type=str),
]


def _one_message(says: str) -> WrapValidator:
    """A union that answers with one sentence, where pydantic has one for each of its members."""

    def check(value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError as error:
            raise PydanticCustomError("scalar", "{says}", {"says": says}) from error

    return WrapValidator(check)


# Printable ASCII without quotes, backslash, backtick and braces: nothing that a configuration file, a shell
# or a template could take for anything but text.
PARAMETER_TEXT: Final = r"^[ !#-&(-\[\]-_a-z|~]{0,1000}$"
ParameterValue = Annotated[
    Annotated[str, StringConstraints(pattern=PARAMETER_TEXT)]
    | Annotated[int, Field(strict=True, ge=-(2**63), lt=2**63)]
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
    | Annotated[bool, Field(strict=True)],
    _one_message(
        "a value is a number, true or false, or text of plain characters: "
        "no line breaks or control characters, no quotes, backslashes, backticks or braces"
    ),
]
FENCE_TEXT: Final = r"^[A-Za-z0-9_./:@=,+-]{1,200}$"
FenceOption = Annotated[
    Annotated[str, StringConstraints(pattern=FENCE_TEXT)]
    | Annotated[int, Field(strict=True, ge=0, lt=2**31)]
    | Annotated[bool, Field(strict=True)],
    _one_message(
        "an option is a number, true or false, or text of letters, digits and _ . / : @ = , + -, 200 at most"
    ),
]
