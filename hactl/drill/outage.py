"""How long clients could not write: pure arithmetic over a history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hactl.drill.history import Event, Mark, Outcome, Store, Write


@dataclass(frozen=True)
class Outage:
    """All in seconds.

    `recovery` is the RTO: fault to first acknowledged commit by a connection opened after it; None
    when there was none. `silence` is the longest time after the fault without any acknowledgement: it also
    counts a second outage, which the first figure would miss.
    """

    fault: Mark
    recovery: float | None
    silence: float


def outage(events: Sequence[Event], *, until: float | None = None) -> Outage | None:
    """After the first fault of a history; None without one. `until` cuts off what came later.

    Only connections begun after the fault was complete count: one that slipped through before proves nothing.
    Clients on the nodes themselves do not: what they reach on a cut-off node, or before the network knows who
    has the VIP now, is no service to anybody else.
    """
    fault = next((e for e in events if isinstance(e, Mark) and e.what == "fault"), None)
    if fault is None:
        return None
    writes = [w for w in served(events) if until is None or w.end <= until]
    acks = sorted(w.end for w in writes if w.outcome is Outcome.OK)
    fresh = [w.end for w in writes if w.outcome is Outcome.OK and w.fresh and w.begin >= fault.end]
    end = max((w.end for w in writes), default=fault.end)
    return Outage(
        fault=fault,
        recovery=min(fresh) - fault.begin if fresh else None,
        silence=longest_gap([fault.begin, *(t for t in acks if t > fault.begin), max(end, fault.end)]),
    )


def served(events: Iterable[Event]) -> list[Write]:
    """Those of clients outside."""
    return [e for e in events if isinstance(e, Write) and not e.inside]


def archive_outage(events: Sequence[Event]) -> float | None:
    """The longest time after the fault without an acknowledged image; None: no images, or no fault."""
    fault = next((e for e in events if isinstance(e, Mark) and e.what == "fault"), None)
    stores = [e for e in events if isinstance(e, Store)]
    if fault is None or not stores:
        return None
    acked = sorted(s.end for s in stores if s.outcome is Outcome.OK and s.end > fault.begin)
    return longest_gap([fault.begin, *acked, max(fault.begin, *(s.end for s in stores))])


def longest_gap(times: Iterable[float]) -> float:
    """The longest distance between neighbours of an ascending series; 0 for fewer than two."""
    return max((b - a for a, b in pairwise(times)), default=0.0)
