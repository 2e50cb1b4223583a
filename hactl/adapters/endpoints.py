"""In which order several equal servers are asked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

FIRST = 2.0  # seconds for which one that failed comes last: longer than an election of etcd takes
LONGEST = 16.0  # doubled with each failure in a row up to this: what hangs costs its share each time


class Endpoints:
    """The given order, those that failed lately last. Thread-safe."""

    def __init__(self, names: tuple[str, ...], clock: Callable[[], float] = time.monotonic) -> None:
        if not names:
            raise ValueError("no endpoints")
        self._names, self._clock = names, clock
        self._lock = threading.Lock()
        self._failed: dict[str, tuple[float, float]] = {}  # name -> until when it comes last, for how long

    def now(self) -> tuple[str, ...]:
        """All of them. Of those that failed, whose turn comes soonest is first."""
        now = self._clock()
        with self._lock:
            until = {n: t for n, (t, _) in self._failed.items() if t > now}
        return tuple(sorted(self._names, key=lambda n: until.get(n, 0.0)))

    def failed(self, name: str) -> None:
        now = self._clock()
        with self._lock:
            until, pause = self._failed.get(name, (0.0, 0.0))
            if until <= now:  # several threads may see the same failure
                pause = min(LONGEST, pause * 2 or FIRST)
            self._failed[name] = (now + pause, pause)

    def works(self, name: str) -> None:
        with self._lock:
            self._failed.pop(name, None)
