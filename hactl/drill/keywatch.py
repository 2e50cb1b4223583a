"""What hactl and Patroni write into etcd, looked at five times a second: fences, orders, who leads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from hactl.drill.history import History, KeySeen
from hactl.errors import Unreachable

# Key -> value, by the names of history.KeySeen. Raises Unreachable.
Keyed = Callable[[], Mapping[str, str]]

EVERY = 0.2  # seconds: what stands for less than this may not be seen


class KeyWatch:
    """Looks until it is stopped. While etcd does not answer nothing is known, and nothing is written down."""

    def __init__(self, keyed: Keyed, history: History) -> None:
        self._keyed = keyed
        self._history = history
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last: Mapping[str, str] | None = None
        self._since = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        if self._thread.is_alive():
            raise Unreachable("the watch of etcd did not end in time")

    def look(self) -> None:
        """Writes down what changed since the last look; at the first one all there is."""
        try:
            now = self._keyed()
        except Unreachable:
            return
        end, before = time.monotonic(), self._last
        for key in sorted({*now, *(before or {})}):
            was = now.get(key) if before is None else before.get(key)
            if before is None or was != now.get(key):
                self._history.add(KeySeen(key, self._since, end, was, now.get(key)))
        self._last, self._since = now, end

    def _run(self) -> None:
        while not self._stop.is_set():
            begin = time.monotonic()
            self.look()
            self._stop.wait(max(0.0, begin + EVERY - time.monotonic()))
