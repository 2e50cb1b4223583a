"""How a database node's files are looked through after a drill: pg_amcheck, and the timelines' histories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from hactl import layout
from hactl.errors import StepFailed

WITHIN: Final = 120.0
EXTENSION: Final = "create extension if not exists amcheck"  # on the primary; a standby gets it from there
_CORRUPT: Final = 2  # exit code, pg_amcheck(1)


def amcheck(version: int, databases: Sequence[str]) -> list[str]:
    """Reads each heap and each B-tree of these databases, as postgres. A standby can be asked as well."""
    names = [word for name in databases for word in ("--database", name)]
    return ["runuser", "-u", "postgres", "--", str(layout.pg_bin(version) / "pg_amcheck"), *names]


def complaints(code: int, out: str, err: str) -> tuple[str, ...]:
    """One for each damaged place. Raises StepFailed: it could not be looked."""
    if code not in {0, _CORRUPT} or "skipping" in err:  # a database without the extension, say
        raise StepFailed(f"pg_amcheck ended with {code}: {err.strip() or out.strip()}")
    found: list[str] = []
    for line in out.splitlines():
        if line.startswith(" ") and found:
            found[-1] += f" {line.strip()}"
        elif line.strip():
            found.append(line.strip())
    if code == _CORRUPT and not found:
        found.append("damaged, it does not say where")
    return tuple(found)


def histories(version: int) -> list[str]:
    """Prints a line for each file of a timeline's history, as sha256sum does."""
    wal = str(layout.pg_data(version) / "pg_wal")
    return ["find", wal, "-maxdepth", "1", "-name", "*.history", "-exec", "sha256sum", "{}", "+"]


def digests(text: str) -> dict[str, str]:
    """Name -> SHA-256. Raises StepFailed: these are no such lines."""
    try:
        pairs = [line.split(maxsplit=1) for line in text.splitlines()]
        return {PurePath(path).name: digest for digest, path in pairs}
    except ValueError as error:
        raise StepFailed(f"sha256sum answers with something else: {error}") from error
