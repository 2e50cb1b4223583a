"""Reads untrusted JSON: every wrong shape ends in one ValueError with the place, never in a KeyError."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hactl.units import Lsn

Json = Mapping[str, Any]


def document(body: bytes, what: str) -> Any:
    """Raises ValueError unless `body` is UTF-8 JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what}: not JSON") from error


def mapping(value: object, what: str) -> Json:
    if not isinstance(value, dict):
        raise ValueError(f"{what}: not an object")  # noqa: TRY004 - one class for every wrong shape
    return value


def items(value: object, what: str) -> list[Json]:
    """The objects of a list; a missing list is an empty one (protobuf's JSON leaves empty ones out)."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{what}: not a list")  # noqa: TRY004
    return [mapping(v, what) for v in value]


def texts(value: object, what: str) -> tuple[str, ...]:
    """The strings of a list; a missing list is an empty one."""
    if value is not None and not isinstance(value, list):
        raise ValueError(f"{what}: not a list")
    return tuple(text(v, what) for v in value or ())


def text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what}: not a string")  # noqa: TRY004
    return value


def number(value: object) -> int | None:
    """An integer, also as a decimal string (protobuf writes 64-bit numbers so); None for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    return None


def lsn(value: object) -> Lsn | None:
    found = number(value)
    return None if found is None or not 0 <= found < 2**64 else Lsn(found)
