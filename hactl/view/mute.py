"""A health code that somebody does not want to hear of for a while."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mute:
    """`subject` empty: all of this code. `severity` and `count`: how bad it may be; worse ends the mute.

    `since`, `until`: Unix time by the clock of whoever muted, for readers; an etcd lease ends it.
    """

    code: str
    subject: str
    by: str
    reason: str
    severity: str
    count: int
    since: float | None = None
    until: float | None = None

    @property
    def name(self) -> str:
        return f"{self.code} {self.subject}".rstrip()
