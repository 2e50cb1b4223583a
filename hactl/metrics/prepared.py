"""Texts for `/metrics` that are made before anybody asks, where there is much to say.

With a thousand archive nodes a text takes some 80 ms of a core that all other threads want too: who waits
for it waits several times as long. So it is made beside, for whoever asked lately, and asking costs a copy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

EVERY: Final = 5.0  # s; Prometheus comes each 10 s here
OLD: Final = 2 * EVERY + 2.0  # s: whoever makes them is late, or ended: then it is made on the spot
LATELY: Final = 60.0  # s

Make = Callable[[], bytes]


@dataclass
class _Text:
    make: Make
    asked: float
    body: bytes = b""
    made: float = 0.0


class Prepared:
    """Thread-safe. `many`: whether it is worth it now; else every text is made when it is asked for."""

    def __init__(self, many: Callable[[], bool], monotonic: Callable[[], float]) -> None:
        self._many, self._now = many, monotonic
        self._lock = threading.Lock()
        self._texts: dict[str, _Text] = {}

    def of(self, name: str, make: Make) -> bytes:
        """The newest text of this name, at most OLD seconds old; with few nodes of this moment."""
        if not self._many():
            return make()
        now = self._now()
        with self._lock:
            text = self._texts.setdefault(name, _Text(make, now))
            text.asked = now
            if text.body and now - text.made <= OLD:
                return text.body
        body = make()
        self._keep(text, body, now)
        return body

    def once(self) -> None:
        """Make each that somebody asked for lately, and forget the others."""
        now, many = self._now(), self._many()
        with self._lock:
            self._texts = {n: t for n, t in self._texts.items() if many and now - t.asked <= LATELY}
            wanted = list(self._texts.values())
        for text in wanted:
            at = self._now()
            self._keep(text, text.make(), at)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            self.once()

    def _keep(self, text: _Text, body: bytes, at: float) -> None:
        """`at`: when it was begun: nothing in it is older."""
        with self._lock:
            if at >= text.made:
                text.body, text.made = body, at
