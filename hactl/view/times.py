"""Times of day and spans as people write and read them. Pure: whoever calls knows what time it is."""

from __future__ import annotations

import datetime as dt
import re

from hactl.units import Seconds

_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


def parse_when(text: str, now: dt.datetime) -> dt.datetime:
    """`18:30` (the next one), `2026-11-22 18:30`, the same with `Z` or `+01:00`, or `+2h` from now on.

    `now`: local time without a zone; so is the answer, unless the text names a zone.

    Raises:
        ValueError: it is none of these.

    """
    text = text.strip()
    if text.startswith("+"):
        return now + dt.timedelta(seconds=Seconds.parse(text[1:]).value)
    if clock := _CLOCK.fullmatch(text):
        today = now.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
        return today if today > now else today + dt.timedelta(days=1)
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or len(text) < len("2026-11-22 18:30"):  # a date alone is midnight, which nobody means
        raise ValueError(f"{text!r} is no time; write for example 18:30, 2026-11-22 18:30, +2h")
    return found


def span(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 58 min`, `2 d 4 h`: two units at most, rounded down."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left} s"
    parts = [(left // 86400, "d"), (left // 3600 % 24, "h"), (left // 60 % 60, "min")]
    while parts[0][0] == 0:
        parts = parts[1:]
    return " ".join(f"{n} {unit}" for n, unit in parts[:2] if n)


def iso(at: float) -> str:
    """Unix time as people read it: `2026-11-22T18:30:00+00:00`."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")
