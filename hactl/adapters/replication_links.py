"""Another node's TCP connections to this PostgreSQL, as the kernel sees them. Ending needs CAP_NET_ADMIN."""

from __future__ import annotations

import re
from typing import Final

from hactl.adapters.command import run
from hactl.adapters.kernel import SS
from hactl.errors import StepFailed

WITHIN: Final = 1.0
_RECEIVED: Final = re.compile(r"\blastrcv:(\d+)\b")


class ReplicationLinks:
    """`here` and `there`: addresses of this node and the other; `port`: PostgreSQL's.

    Methods raise StepFailed (ss refuses) or Unreachable (no answer in time).
    """

    def __init__(self, here: str, there: str, port: int) -> None:
        self._which = [f"src {here}:{port} and dst {there}"]

    def quiet(self) -> float | None:
        """Seconds since anything came on any of them, by the kernel's own clock; None: there is none."""
        done = self._ss("-i", "state", "established")
        waited = [int(found) for found in _RECEIVED.findall(done)]
        return min(waited) / 1000 if waited else None

    def end(self) -> int:
        """How many there were. Who sits at this end sees a broken connection at once."""
        return len(self._ss("-K").splitlines())

    def _ss(self, *words: str) -> str:
        done = run([SS, "-H", "-n", "-t", *words, *self._which], within=WITHIN, check=False)
        if done.code != 0:
            raise StepFailed(f"ss: {done.err.strip()[:200]}")
        return done.out
