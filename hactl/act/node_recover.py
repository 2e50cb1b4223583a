"""Waits for a standby that was told to join again: as long as anything is at work there, and no longer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hactl.errors import StepFailed, Unreachable
from hactl.ports import Clock

POLL: Final = 0.5
SETTLED: Final = 2  # looks in a row: a Patroni that is just being stopped still says what was


@dataclass(frozen=True)
class Progress:
    """`state`: Patroni's word. `started`: of the postmaster. `joining`: the program that is at work there."""

    state: str
    started: str
    streams: bool
    joining: str = ""


@dataclass(frozen=True)
class Means:
    """`before`: as it was when it was told. `copied`: how far a copy is, empty: not known."""

    clock: Clock
    look: Callable[[], Progress]
    before: Progress
    copied: Callable[[], str]
    say: Callable[[str], None]


def follow(node: str, means: Means, within: float, longest: float) -> float:
    """Until it streams with a PostgreSQL started since; how many seconds that took.

    Raises StepFailed: not within `within` seconds without anything at work, or not within `longest`.
    """
    began = idle = means.clock.monotonic()
    good = 0
    seen = means.before
    while good < SETTLED:
        now = means.clock.monotonic()
        if now - idle > within or now - began > longest:
            raise StepFailed(
                f"{node} does not stream after {now - began:.0f} s: its PostgreSQL is {seen.state}",
                last_done=f"{node} was told to join again; the controller goes on helping",
                hint=f"hactl status; hactl node logs {node} --unit patroni",
            )
        try:
            seen = means.look()
        except Unreachable:
            time.sleep(POLL)
            continue
        fresh = seen.streams and bool(seen.started) and seen.started != means.before.started
        good = good + 1 if fresh else 0
        if seen.joining:
            idle = now
        means.say(_said(node, seen, means))
        time.sleep(POLL)
    return means.clock.monotonic() - began


def _said(node: str, seen: Progress, means: Means) -> str:
    if seen.streams:
        return f"{node} streams"
    copied = means.copied() if seen.joining else ""
    parts = (seen.joining, copied)
    more = "".join(f", {part}" for part in parts if part)
    return f"{node}: {seen.state}{more}"
