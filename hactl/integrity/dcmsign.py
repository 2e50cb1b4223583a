"""DCMTK's dcmsign: makes and checks signatures of DICOM files. It sees copies, no file of the storage."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hactl.adapters.command import run
from hactl.errors import StepFailed

PROGRAM: Final = "dcmsign"
WITHIN: Final = 120.0  # seconds; a small image takes 0.05
_UNSIGNED, _FAILED = 100, 101  # its exit codes
_CERTIFICATE: Final = "certificate verification failed: "


class Word(enum.StrEnum):
    """`corrupt`: not what was signed. `untrusted`: it is, but who signed is not, or not any more, trusted."""

    OK = "ok"
    CORRUPT = "corrupt"
    UNTRUSTED = "untrusted"
    UNSIGNED = "unsigned"


@dataclass(frozen=True)
class SigningKeys:
    """Files of the site's own: hactl's CA ends long before an archive does."""

    key: Path
    certificate: Path
    trusted: Path


def sign(keys: SigningKeys, source: Path, target: Path) -> None:
    """SHA-256, every data element of the main data set. Raises StepFailed, Unreachable."""
    files = (str(keys.key), str(keys.certificate))
    run([PROGRAM, "--quiet", "+s", *files, "-pw", "+m2", str(source), str(target)], within=WITHIN)


def check(keys: SigningKeys, path: Path) -> tuple[Word, str]:
    """`+rg`: a file without a signature fails, which it does not by default.

    Raises StepFailed: dcmsign could not do its work. Unreachable: it is not installed, or took too long.
    """
    done = run([PROGRAM, "--verify", "+rg", "+cf", str(keys.trusted), str(path)], within=WITHIN, check=False)
    said = [line.partition("Verification :")[2].strip() for line in done.err.splitlines()]
    words = "; ".join(word for word in said if word and word != "OK")
    if done.code == 0 and not words:
        return Word.OK, ""
    if done.code == _UNSIGNED:
        return Word.UNSIGNED, "no signature"
    if done.code != _FAILED:
        tail = " / ".join(done.err.strip().splitlines()[-2:])
        raise StepFailed(f"{PROGRAM} ended with code {done.code}: {tail}")
    only_trust = all(_CERTIFICATE in word for word in said if word and word != "OK")
    return (Word.UNTRUSTED if only_trust else Word.CORRUPT), words
