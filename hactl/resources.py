"""Where templates/ and ansible/ are: inside an installed wheel, or beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def folder(name: str) -> Path:
    """The folder `templates` or `ansible`.

    Raises:
        FileNotFoundError: neither the wheel's data nor a checkout holds it (a broken installation).

    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"hactl's {name}/ folder is missing from this installation")
