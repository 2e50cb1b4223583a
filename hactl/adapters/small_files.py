"""Files of a line or so that others watch: replaced as a whole, so that nobody ever reads half of one."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from hactl.errors import StepFailed

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def replace_file(path: Path, text: str) -> None:
    """Raises StepFailed. No fsync: these files lie in memory, or say what is true only while we run."""
    try:
        _replaced(path, text)
    except OSError as error:
        if error.errno in _FULL and _overwritten(path, text):
            return
        raise StepFailed(f"cannot write {path}: {error.strerror or error}") from error


def _replaced(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="ascii")
        new.chmod(0o644)
        os.replace(new, path)  # noqa: PTH105 - rename(2) is meant: keepalived notices exactly that
    except OSError:
        with contextlib.suppress(OSError):
            new.unlink()
        raise


def _overwritten(path: Path, text: str) -> bool:
    """The block that the file has already: never given back first, and written with one call."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            written = os.pwrite(file, text.encode("ascii"), 0)
            os.ftruncate(file, written)
        finally:
            os.close(file)
    except OSError:
        return False
    return written == len(text)


def read_file(path: Path, *, limit: int = 65536) -> str | None:
    """The text; None: there is no such file, or it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(limit).decode(errors="replace")
    except OSError:
        return None
