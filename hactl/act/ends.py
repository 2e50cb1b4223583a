"""Keeps to their time what etcd ends by itself: pauses and mutes.

A new leader of etcd starts every lease's time anew, and work on machines, for which people pause, changes
leaders. So the active controller writes down now and then how much is left: a new lease of just that long.
What a change of leaders adds is then a minute at most; without a controller, up to the whole time again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Final

from hactl.act.hands import WITHIN, Hands
from hactl.errors import Refused, Unreachable
from hactl.ports import NoSuchLease
from hactl.view.kv import Get, Pair, Put, revision_is

EVERY: Final = 60.0  # s
SHORT: Final = 180  # s; shorter ones are kept alive by whoever holds them, or end soon anyway
TRUE: Final = 2  # s: not worth a write


class Ends:
    """One thread calls `look`."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._due: float | None = None

    def look(self) -> None:
        """Each minute, while this controller is active. What does not work is tried a minute later."""
        now = self._hands.clock.monotonic()
        if self._due is not None and now < self._due:
            return
        self._due = now + EVERY
        with contextlib.suppress(Unreachable, Refused):
            for pair in self._limited():
                self._write_down(pair)

    def forget(self) -> None:
        self._due = None

    def _limited(self) -> Iterable[Pair]:
        keys = self._hands.keys
        asked = (Get(keys.paused), Get(keys.mutes, prefix=True))
        for found in self._hands.kv.ranges(asked, within=WITHIN).ranges:
            yield from (pair for pair in found if pair.lease)

    def _write_down(self, pair: Pair) -> None:
        kv, unchanged = self._hands.kv, (self._hands.ours(), revision_is(pair.key, pair.mod_revision))
        with contextlib.suppress(NoSuchLease):  # it has just ended
            time = kv.time_left(pair.lease, within=WITHIN)
            if time.granted < SHORT or time.granted - time.left < TRUE:
                return
            lease = kv.grant(max(1, time.left), within=WITHIN)
            moved = kv.txn(unchanged, (Put(pair.key, pair.value, lease),), within=WITHIN).succeeded
            kv.revoke(pair.lease if moved else lease, within=WITHIN)
