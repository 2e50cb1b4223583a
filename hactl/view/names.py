"""Many names in a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MOST: Final = 8


def some(names: Iterable[str]) -> str:
    """`arc1, arc2`; of very many the first ones, and how many more there are."""
    found = list(names)
    if len(found) <= MOST + 1:
        return ", ".join(found)
    return f"{', '.join(found[:MOST])} and {len(found) - MOST} more"
