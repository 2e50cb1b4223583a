"""Which of this node's certificates end soon, for its facts: then nobody here is believed any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

EVERY = 60.0
LATER = 30.0  # s after the start: reading them imports much, and an agent that comes back is in a hurry
TOLD = 45 * 86400  # s before its end; what is good for longer is no news


class EndingSoon:
    """By use: the end in Unix time. What is in no hurry to end is left out, and all in the first seconds."""

    def __init__(
        self, folder: Path, monotonic: Callable[[], float], wall: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._now, self._wall = folder, monotonic, wall
        self._from = monotonic() + LATER
        self._ends: Callable[[], dict[str, float]] | None = None

    def __call__(self) -> dict[str, int]:
        if self._now() < self._from:
            return {}
        if self._ends is None:
            from hactl.metrics.certificates import NodeCertificates  # noqa: PLC0415 - cryptography

            self._ends = NodeCertificates(self._folder).ends
        until = self._wall() + TOLD
        return {use: int(end) for use, end in self._ends().items() if end < until}
