"""How long, until when: options that say a time, read with this machine's clock and time zone."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import Any

import click

from hactl.errors import UsageError
from hactl.units import Seconds
from hactl.view.times import parse_when, span

Command = Callable[..., None]
LONGEST = 7 * 86400.0  # s: what is meant to last is no exception any more
SHORTEST = 5.0


def moment(text: str) -> dt.datetime:
    """With its zone. Raises UsageError."""
    try:
        return parse_when(text, _now()).astimezone()
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error)) from error


def for_a_while(usual: float) -> Callable[[Command], Command]:
    """Give a command --for and --until; it gets them as `seconds`, `usual` where neither is given."""

    def decorated(function: Command) -> Command:
        @functools.wraps(function)
        def command(*args: Any, lasts: str | None, until: str | None, **options: Any) -> None:
            function(*args, seconds=lasting(lasts, until, usual), **options)

        how_long = f"How long: 30min, 4h. Default: {span(usual).replace(' ', '')}; at most 7d."
        found: Command = command
        for option in (
            click.option("--until", metavar="TIME", help='Until when: 18:30, "2026-11-22 18:30", +4h.'),
            click.option("--for", "lasts", metavar="DURATION", help=how_long),
        ):
            found = option(found)
        return found

    return decorated


def lasting(lasts: str | None, until: str | None, usual: float) -> float:
    """Seconds from now on. Raises UsageError: both are given, it is no time, too short or too long."""
    if lasts is not None and until is not None:
        raise UsageError("--for and --until: give one of them")
    try:
        seconds = Seconds.parse(lasts).value if lasts is not None else usual
    except ValueError as error:
        raise UsageError(str(error)) from error
    if until is not None:
        seconds = (moment(until) - _now().astimezone()).total_seconds()
    if not SHORTEST <= seconds <= LONGEST:
        raise UsageError(f"it may last from {span(SHORTEST)} to {span(LONGEST)}, not {span(seconds)}")
    return seconds


def local(at: float) -> str:
    """Unix time for a person at this machine: `22:58:11`, with the date if it is another day's."""
    then = dt.datetime.fromtimestamp(at).astimezone()
    return f"{then:%H:%M:%S %Z}" if then.date() == _now().date() else f"{then:%Y-%m-%d %H:%M:%S %Z}"


def _now() -> dt.datetime:
    return dt.datetime.now()  # noqa: DTZ005 - what people write is in their own zone
