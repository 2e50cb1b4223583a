"""Many archive nodes and many reasons on one screen: counted, and the worst ones listed. Imports rich."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from rich.text import Text

FEW: Final = 20  # archive nodes are simply listed
WORST: Final = 12  # are listed of more
ALIKE: Final = 4  # reasons with one code are listed
_ORDER: Final = ("failed", "unknown", "degraded", "draining", "drained", "starting", "healthy")
_HINT: Final = "`--all` lists them"

Node = dict[str, Any]


def worst(nodes: Sequence[Node], most: int = WORST) -> list[Node]:
    """The first ones of all, worst first, none that is healthy; among equals in the spec's order."""
    ill = [node for node in nodes if node["state"] != "healthy"]
    return sorted(ill, key=lambda node: _rank(node["state"]))[:most]


def _rank(state: str) -> int:
    return _ORDER.index(state) if state in _ORDER else 0


def counts(nodes: Sequence[Node]) -> str:
    """`3 failed, 1 degraded, 996 healthy`."""
    found = Counter(node["state"] for node in nodes)
    return ", ".join(f"{found[state]} {state}" for state in sorted(found, key=_rank))


def rest(total: int, listed: int) -> Text:
    return Text(f"  and {total - listed} more: {_HINT}", "dim")


def silent(nodes: Sequence[Node]) -> list[Node]:
    """Those of whom somebody should hear: not reached, or without an agent's report."""
    found = [node for node in nodes if not (node["reachable"] and node["agent"])]
    return sorted(found, key=lambda node: (node["reachable"] is not False, node["agent"] is not False))


def reasons(found: Sequence[Node]) -> Iterator[tuple[Node | None, str]]:
    """Each reason that is shown; or, in the place of those left out, none and a sentence on them."""
    listed: Counter[str] = Counter()
    total = Counter(reason["code"] for reason in found)
    for reason in found:
        code = reason["code"]
        listed[code] += 1
        if total[code] <= ALIKE + 1 or listed[code] <= ALIKE:
            yield reason, ""
        elif listed[code] == ALIKE + 1:
            yield None, f"{code}: {total[code] - ALIKE} more of the same: {_HINT}"
