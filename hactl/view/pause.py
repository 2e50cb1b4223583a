"""Hands off, by somebody's word: what the key `paused` says. That it stands is what counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pause:
    """`since`, `until`: Unix time by the clock of whoever paused, for readers; an etcd lease ends it.

    `until` None: it does not say, as a deployment's, which ends with the deployment.
    """

    by: str
    reason: str
    since: float | None = None
    until: float | None = None

    def left(self, now: float) -> float | None:
        return None if self.until is None else max(0.0, self.until - now)
