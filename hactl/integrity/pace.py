"""How fast is read: so many bytes a second, and not at all while others need the machine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

LOOK_EVERY = 1.0  # s between two looks at the load


@dataclass
class Pace:
    """`rate` in bytes a second, 0: no limit. `ceiling`: load of others per processor, 0: no limit.

    `load` gives the processes of others that run or wait for the disk, per processor; `wait` sleeps so many
    seconds, or less when the work is to stop, and says whether it is. Thread-safe.
    """

    rate: float
    ceiling: float
    clock: Callable[[], float]
    wait: Callable[[float], bool]
    load: Callable[[], float]
    held: float = 0.0
    _free_at: float = 0.0
    _looked: float = -1e9
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, size: int) -> bool:
        """Wait until `size` bytes may be read. False: the work is to stop."""
        return self._below_ceiling() and self._below_rate(size)

    def _below_rate(self, size: int) -> bool:
        if not self.rate:
            return True
        with self._lock:
            now = self.clock()
            start = max(self._free_at, now)
            self._free_at = start + size / self.rate
        return not (start > now and self.wait(start - now))

    def _below_ceiling(self) -> bool:
        if not self.ceiling:
            return True
        while self._due():
            if self.load() <= self.ceiling:
                return True
            with self._lock:
                self._looked = -1e9  # while it is too high each reader looks before each file
                self.held += LOOK_EVERY
            if self.wait(LOOK_EVERY):
                return False
        return True

    def _due(self) -> bool:
        with self._lock:
            now = self.clock()
            if now - self._looked < LOOK_EVERY:
                return False
            self._looked = now
            return True
