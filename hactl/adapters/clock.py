from __future__ import annotations

import time


class SystemClock:
    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        """Seconds since the machine's start; it counts on while the machine sleeps."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
