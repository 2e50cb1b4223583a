"""What a controller's loops last saw: published whole, so that a scrape asks nobody and waits for nobody."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hactl.decide.codes import Finding
from hactl.view.cluster import ClusterView
from hactl.view.control import ControlView
from hactl.view.incident import Incident
from hactl.view.model import ArchiveView


@dataclass(frozen=True)
class Totals:
    """Counts since the journal began. They come from the journal, so another controller goes on counting.

    `failovers` by reason, `fences` by node, `recovery` by rung and result (`done` or `failed`).
    """

    failovers: Mapping[str, int] = field(default_factory=dict)
    fences: Mapping[str, int] = field(default_factory=dict)
    recovery: Mapping[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True)
class ArchivesSeen:
    """The archive's own loop: levels by node, and how many ways to ask it each node makes us leave alone."""

    views: Mapping[str, ArchiveView] = field(default_factory=dict)
    breakers: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """One moment of one controller. All times are its monotonic seconds.

    `at`: published; `view_at`: when the slow look was asked for. `findings` are None until a tick has judged,
    and without those that are `muted`; `totals` and `journal_head` are None until the journal is read.
    `incident` is open, `last_failover` the last closed one.
    """

    at: float
    me: str
    holding: bool
    control: ControlView | None = None
    view: ClusterView | None = None
    view_at: float | None = None
    findings: tuple[Finding, ...] | None = None
    muted: tuple[Finding, ...] = ()
    totals: Totals | None = None
    journal_head: int | None = None
    incident: Incident | None = None
    last_failover: Incident | None = None
    archive_breakers: Mapping[str, int] = field(default_factory=dict)


class Board:
    """Where loops leave what they saw and that they live, and the exporter reads it. Thread-safe.

    `limits`: how old each loop's last beat may be, in seconds, before the process counts as stuck.
    """

    def __init__(self, limits: Mapping[str, float], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._limits = dict(limits)
        self._monotonic = monotonic
        self._beats = dict.fromkeys(limits, monotonic())
        self._snapshot: Snapshot | None = None

    def now(self) -> float:
        return self._monotonic()

    def publish(self, snapshot: Snapshot) -> None:
        with self._lock:
            self._snapshot = snapshot

    def beat(self, loop: str) -> None:
        """The loop made progress. Raises KeyError for a loop that the board was not told of."""
        with self._lock:
            if loop not in self._limits:
                raise KeyError(loop)
            self._beats[loop] = self._monotonic()

    @property
    def snapshot(self) -> Snapshot | None:
        with self._lock:
            return self._snapshot

    def stuck(self) -> tuple[str, ...]:
        """A sentence for each loop without progress within its limit."""
        with self._lock:
            now, beats = self._monotonic(), dict(self._beats)
        ages = ((loop, now - at) for loop, at in beats.items())
        return tuple(
            f"loop {loop}: no progress for {age:.1f} s" for loop, age in ages if age > self._limits[loop]
        )
