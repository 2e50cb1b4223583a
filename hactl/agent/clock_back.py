"""A wall clock that is turned back keeps Patroni asleep, until its lease in etcd has run out: it is woken.

Patroni 4.1 reckons by the wall clock when its next round is due (patroni#3560; mended in its main branch by
#3612, not in a release yet): turned back by 300 s, it sleeps for 301 s, and neither renews its leader key nor
pats its watchdog. A round that begins at once reckons anew. Forward does no harm: the round is due at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from hactl.agent.ports import Clocks, RootActs
from hactl.errors import HactlError, Refused

EVERY = 0.25
STEP = 0.5  # s: less only makes one pause longer by so much; slewing stays below 0.1 % and is no step
WITHIN = 10.0
AGAIN = 1.0
SPARE = 10.0  # s after which a Patroni that nobody could wake has slept out
TOGETHER = 0.1


class ClockBack:
    """Nothing is decided by the wall clock's time here, only by its having been turned."""

    def __init__(self, clocks: Clocks, acts: RootActs, say: Callable[..., None]) -> None:
        self._clocks, self._acts, self._say = clocks, acts, say
        self._ahead = self._wall_ahead()
        self._owed, self._until, self._due = 0.0, 0.0, 0.0

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stop,), name="clock", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            self.once()

    def once(self) -> None:
        ahead, now = self._wall_ahead(), self._clocks.monotonic()
        if ahead is not None:
            back = 0.0 if self._ahead is None else self._ahead - ahead
            self._ahead = ahead
            if back >= STEP:
                self._owed, self._until = back, now + back + SPARE
        if self._owed and now >= self._due:
            self._wake(now)
            self._due = now + AGAIN

    def _wake(self, now: float) -> None:
        """Until it has slept for so long anyway, or whoever is asked says that he never will."""
        back = round(self._owed, 1)
        try:
            said = self._acts.act("wake-patroni", within=WITHIN)
        except HactlError as error:  # a Patroni that does not run reckons anew when it starts
            self._say("Patroni not woken", turned_back=back, why=error.message)
            if isinstance(error, Refused) or now >= self._until:
                self._owed = 0.0
            return
        self._say("clock turned back", seconds=back, said=said)
        self._owed = 0.0

    def _wall_ahead(self) -> float | None:
        """None: this thread was held up between its looks, and they do not belong together."""
        before = self._clocks.boottime()
        ahead = self._clocks.wall() - before
        return ahead if self._clocks.boottime() - before < TOGETHER else None
