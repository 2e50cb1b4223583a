"""A clock for whatever waits: nothing sleeps, and its time comes all the same."""

from __future__ import annotations

from tests.fakes.etcd import FakeClock


class Time(FakeClock):
    """Goes on by being looked at: what waits comes to its end."""

    def monotonic(self) -> float:
        self.now += 0.5
        return self.now
