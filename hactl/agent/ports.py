"""What the agent asks of its own machine. hactl/adapters answers with the real one, tests from memory.

Methods raise StepFailed or Unreachable: nothing was done, or nobody knows.
"""

from __future__ import annotations

from typing import Protocol


class Clocks(Protocol):
    def boottime(self) -> float:
        """CLOCK_BOOTTIME: counts while the machine sleeps."""

    def monotonic(self) -> float: ...

    def wall(self) -> float:
        """Seconds since 1970. It may jump: nothing but that is looked for in it."""


class Lease(Protocol):
    """The packet filter's table for the database VIP."""

    def renew(self, milliseconds: int) -> None: ...

    def flush(self) -> None: ...

    def opened(self) -> bool:
        """Whether traffic passes without end: nothing was ever closed here, or hactl was away."""

    def close(self, milliseconds: int) -> None:
        """Make the table anew, in one step; what gets through does so for so long, 0: nothing."""

    def refuse(self, address: str, seconds: int) -> None: ...

    def allow(self, address: str) -> None: ...

    def end_connections(self, address: str) -> int:
        """End all TCP connections with this address; how many there were."""


class Vip(Protocol):
    def here(self) -> bool: ...

    def live(self, seconds: int) -> bool: ...

    def remove(self) -> bool: ...


class Notes(Protocol):
    """The small files that others read: keepalived, its check, open-lease."""

    def track(self, *, may_hold: bool) -> None: ...

    def tracked(self) -> bool:
        """Whether the track file lets the VIP come here; an unreadable one does, as keepalived has it."""

    def word(self, until: float) -> None: ...

    def last_word(self) -> float:
        """What the lease file says; 0.0 without one."""

    def leaving(self, until: float) -> None:
        """Patroni may be told to stop PostgreSQL until then (CLOCK_BOOTTIME), because of a switchover."""

    def opened(self) -> bool: ...

    def forget_open(self) -> None: ...

    def fenced(self) -> bool:
        """Whether something was stopped for a fence intent and not started again yet."""

    def note_fenced(self, *, fenced: bool) -> None: ...

    def ready(self) -> None:
        """From now on a crash is followed by a quick restart, not by opening."""


class RootActs(Protocol):
    def act(self, verb: str, unit: str = "", *, within: float) -> str:
        """What it said."""


class Service(Protocol):
    def say(self, *words: str) -> None: ...
