"""Files of a line or so that others watch: replaced as a whole, so that nobody ever reads half of one."""

from __future__ import annotations

import os
from pathlib import Path

from hactl.errors import StepFailed


def replace_file(path: Path, text: str) -> None:
    """Raises StepFailed. No fsync: these files lie in memory, or say what is true only while we run."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(text, encoding="ascii")
        new.chmod(0o644)
        os.replace(new, path)  # noqa: PTH105 - rename(2) is meant: keepalived notices exactly that
    except OSError as error:
        raise StepFailed(f"cannot write {path}: {error.strerror or error}") from error


def read_file(path: Path, *, limit: int = 65536) -> str | None:
    """The text; None: there is no such file, or it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(limit).decode(errors="replace")
    except OSError:
        return None
