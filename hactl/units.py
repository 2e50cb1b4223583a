"""Quantities as types, so that a raw number cannot hide a typo: durations, byte counts, LSNs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

# At most nine digits on each side: then text -> number -> text loses nothing.
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|min|h|d)")
_FACTOR = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_LSN = re.compile(r"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")


def _shortest(number: float, places: int) -> str:
    return f"{number:.{places}f}".rstrip("0").rstrip(".")


@dataclass(frozen=True, order=True)
class Seconds:
    """A duration. Written as `500ms`, `3s`, `10min`, `4h` or `2d`."""

    value: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless `text` is a number followed by ms, s, min, h or d."""
        found = _DURATION.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{text!r} is not a duration; write for example 500ms, 3s, 10min, 4h")
        return cls(round(float(found[1]) * _FACTOR[found[2]], 9))

    def __str__(self) -> str:
        if abs(self.value) < 1:
            return f"{_shortest(self.value * 1000, 6)}ms"
        return f"{_shortest(self.value, 9)}s"


@dataclass(frozen=True, order=True)
class Bytes:
    """A size or a distance in a log, in bytes."""

    value: int

    @classmethod
    def mib(cls, n: float) -> Self:
        return cls(int(n * 1024 * 1024))

    def __str__(self) -> str:
        size, units = float(self.value), ["B", "KiB", "MiB", "GiB", "TiB"]
        while abs(size) >= 1024 and len(units) > 1:
            size, units = size / 1024, units[1:]
        return f"{size:.0f} {units[0]}" if units[0] == "B" else f"{size:.1f} {units[0]}"


@dataclass(frozen=True, order=True)
class Lsn:
    """A position in PostgreSQL's write-ahead log; the difference of two is a number of bytes."""

    value: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError unless `text` looks like `16/B374D848`."""
        found = _LSN.fullmatch(text.strip())
        if not found:
            raise ValueError(f"{text!r} is not an LSN; PostgreSQL writes them like 16/B374D848")
        return cls((int(found[1], 16) << 32) + int(found[2], 16))

    def __sub__(self, other: Lsn) -> Bytes:
        return Bytes(self.value - other.value)

    def __str__(self) -> str:
        return f"{self.value >> 32:X}/{self.value & 0xFFFFFFFF:X}"
