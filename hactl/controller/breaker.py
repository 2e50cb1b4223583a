"""A circuit breaker: who keeps asking what hangs takes its last threads away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

FAILURES: Final = 3  # in a row
OPEN: Final = 10.0  # seconds; doubled each time that the one question after it fails too
LONGEST: Final = 60.0


@dataclass(frozen=True)
class Breaker:
    """`until` in monotonic seconds: not asked before. Then one question decides whether it closes."""

    failures: int = 0
    pause: float = 0.0
    until: float = 0.0

    @property
    def open(self) -> bool:
        return self.pause > 0

    def may(self, now: float) -> bool:
        return now >= self.until

    def after(self, now: float, *, ok: bool) -> Self:
        """One more answer came, or was waited for in vain."""
        if ok:
            return type(self)()
        failures = self.failures + 1
        if failures < FAILURES:
            return type(self)(failures)
        pause = min(LONGEST, self.pause * 2) if self.pause else OPEN
        return type(self)(failures, pause, now + pause)
