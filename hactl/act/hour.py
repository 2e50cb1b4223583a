"""Leases of an hour, for what counts "within the last hour"; one is granted ahead, so no failover waits."""

from __future__ import annotations

import threading
from typing import Final

from hactl.ports import Clock, EtcdKv

HOUR: Final = 3600
AHEAD: Final = 300  # how long before its use one may have been granted; its life is that much longer
WITHIN: Final = 1.2


class HourLeases:
    """Thread-safe. Each lease is given out once."""

    def __init__(self, kv: EtcdKv, clock: Clock) -> None:
        self._kv, self._clock = kv, clock
        self._lock = threading.Lock()
        self._spare: tuple[int, float] | None = None

    def prepare(self) -> None:
        """Have one ready. Raises Unreachable."""
        if self._fresh() is None:
            asked = self._clock.monotonic()
            lease = self._kv.grant(HOUR + AHEAD, within=WITHIN)
            with self._lock:
                self._spare = (lease, asked)

    def take(self) -> int:
        """One that lives for an hour from now, at least. Raises Unreachable."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None and self._clock.monotonic() - spare[1] < AHEAD:
            return spare[0]
        return self._kv.grant(HOUR + AHEAD, within=WITHIN)

    def _fresh(self) -> int | None:
        with self._lock:
            spare = self._spare
        return spare[0] if spare and self._clock.monotonic() - spare[1] < AHEAD / 2 else None
