"""The phases of a drill as its clients saw them, for where hactl opened no incident. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from hactl.drill.history import Event, Mark, Outcome
from hactl.drill.outage import served

WHOLE: Final = "redundancy is full again"  # the note that says so


def course(events: Sequence[Event]) -> list[dict[str, Any]]:
    """As an incident's phases: `phase`, `node`, `since_ms` after the fault, whether that is `exact`.

    Empty without a fault. Without what did not happen.
    """
    fault = next((e for e in events if isinstance(e, Mark) and e.what == "fault"), None)
    if fault is None:
        return []
    return [
        {"phase": phase, "node": node, "since_ms": round(1000 * (at - fault.begin)), "exact": exact}
        for phase, node, at, exact in sorted(_steps(events, fault), key=lambda step: step[2])
    ]


def _steps(events: Sequence[Event], fault: Mark) -> Iterator[tuple[str, str, float, bool]]:
    yield "injected", fault.node, fault.end, True
    fresh = [
        w for w in served(events) if w.outcome is Outcome.OK and w.fresh and w.begin >= fault.end and w.server
    ]
    if fresh:
        first = min(fresh, key=lambda w: w.end)
        yield "served-again", first.server.node if first.server else "", first.end, True
    later = [e for e in events if isinstance(e, Mark) and e.begin >= fault.end]
    if healed := next((e for e in later if e.what == "heal"), None):
        yield "healed", healed.node, healed.end, True
    if whole := next((e for e in later if (e.what, e.detail) == ("note", WHOLE)), None):
        yield "redundancy-restored", "", whole.end, False  # it is asked twice a second
