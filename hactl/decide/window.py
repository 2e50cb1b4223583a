"""The agreed windows of drills: is one open at a local time, and for how long still. Pure.

templates/hactl/fault.j2 asks the same once more on the node; a test compares the two.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final, get_args

from hactl.spec.model_drills import Day, Window

DAYS: Final[tuple[str, ...]] = get_args(Day)
_WEEK: Final = 7


def left(windows: Sequence[Window], local: dt.datetime) -> float | None:
    """Seconds until the last of those that are open now ends; None: none is open. `local` has no zone."""
    ends = [end for begin, end in _around(windows, local.date()) if begin <= local < end]
    return (max(ends) - local).total_seconds() if ends else None


def following(windows: Sequence[Window], local: dt.datetime) -> dt.datetime | None:
    """When the next one opens; None: there is none."""
    begins = [
        begin
        for days in range(_WEEK + 1)
        for begin, _ in _around(windows, local.date() + dt.timedelta(days=days))
        if begin > local
    ]
    return min(begins, default=None)


def _around(windows: Sequence[Window], day: dt.date) -> list[tuple[dt.datetime, dt.datetime]]:
    """Those that begin on this day or the day before."""
    found = []
    for start in (day - dt.timedelta(days=1), day):
        for window in windows:
            if DAYS[start.weekday()] in window.days:
                begin, end = _at(start, window.begin), _at(start, window.end)
                found.append((begin, end if begin < end else end + dt.timedelta(days=1)))
    return found


def _at(day: dt.date, text: str) -> dt.datetime:
    hours, _, minutes = text.partition(":")
    return dt.datetime.combine(day, dt.time()) + dt.timedelta(hours=int(hours), minutes=int(minutes))
