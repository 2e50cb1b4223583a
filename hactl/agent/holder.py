"""Makes the decided stand true: kernel, keepalived's track file, the lease file, the address's lifetime.

Order matters. On the way up: the packet filter lets traffic through first, the track file comes last. On the
way down: the packet filter shuts first. What fails is tried again in the next round; the kernel's own timers
stand behind all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from hactl.agent.lease import APPLY_WITHIN, Stand, whole_seconds
from hactl.agent.ports import Clocks, Lease, Notes, Vip
from hactl.errors import HactlError, StepFailed

# keepalived takes the address away by itself, and tells the neighbours; only a frozen or dead one does not.
KEEPALIVED_WITHIN = 0.5
TRIES = 3
SHUT_AGAIN = 5.0  # s: somebody may have emptied the whole rule set, and the table with it


class Holder:
    """`shut` is set while the packet filter surely lets nothing through.

    `unwritten`: how often in a row a small file could not be written. That alone ends no lease: keepalived's
    check gives up an old word by itself.
    """

    def __init__(self, lease: Lease, vip: Vip, notes: Notes, clocks: Clocks) -> None:
        self._lease, self._vip, self._notes, self._clocks = lease, vip, notes, clocks
        self.shut = threading.Event()
        self.problem = ""
        self.unwritten = 0
        self._notes_failed = False
        self._track: bool | None = None
        self._word: float | None = None
        self._until: float | None = None
        self._down_since: float | None = None
        self._shut_at = 0.0

    def apply(self, wanted: Stand) -> Stand:
        """The stand that holds now: the one wanted, or a closed one where it could not be made true."""
        self.problem, self._notes_failed = "", False
        stands = self._applied(wanted)
        self.unwritten = self.unwritten + 1 if self._notes_failed else 0
        if not self.problem or self.problem in stands.why:
            return stands
        return replace(stands, why=f"{stands.why}; {self.problem}")

    def _applied(self, wanted: Stand) -> Stand:
        try:
            if wanted.until is None and not wanted.vip:
                self._down(wanted)
            elif wanted.until is not None:
                self._up(wanted, wanted.until)
        except HactlError as error:
            self._failed(error)
            return self._fallen(wanted)
        return wanted

    def _up(self, wanted: Stand, until: float) -> None:
        if until != self._until:
            self._renew(until)
        self._say(wanted.word)
        self._hold(may_hold=wanted.vip)
        if wanted.vip:
            self._down_since = None
            self._vip.live(whole_seconds(until - self._clocks.boottime()))
        else:
            self._clear_address()

    def _renew(self, until: float) -> None:
        """A renewal that the machine was too busy for may end too late: taken back, and once more."""
        for _ in range(TRIES):
            start = self._clocks.boottime()
            left = until - start
            if left <= 0:
                break
            self.shut.clear()
            self._lease.renew(int(left * 1000))
            if self._clocks.boottime() - start <= APPLY_WITHIN:
                self._until = until
                return
            self._lease.flush()
        raise StepFailed("the packet filter took too long: the lease would have outlived its end")

    def _down(self, wanted: Stand) -> None:
        """Everything is tried, also when the first step fails."""
        try:
            self._shut()
        finally:
            self._hold(may_hold=False)
            self._say(wanted.word)
            self._clear_address()

    def _shut(self) -> None:
        now = self._clocks.monotonic()
        if not self.shut.is_set() or now - self._shut_at > SHUT_AGAIN:
            self.shut.clear()
            self._lease.flush()
            self._until = None
            self._shut_at = now
            self.shut.set()

    def _fallen(self, wanted: Stand) -> Stand:
        fallen = Stand(None, False, wanted.word, wanted.why)
        if wanted.until is not None:
            try:
                self._until = None
                self._down(fallen)
            except HactlError as error:
                self._failed(error)
        return fallen

    def _failed(self, error: HactlError) -> None:
        if error.message not in self.problem:
            self.problem = f"{self.problem}; {error.message}" if self.problem else error.message

    def _hold(self, *, may_hold: bool) -> None:
        if self._track is not may_hold:
            self._track = None
            if self._noted(lambda: self._notes.track(may_hold=may_hold)):
                self._track = may_hold

    def _say(self, word: float) -> None:
        if self._word != word:
            self._word = None
            if self._noted(lambda: self._notes.word(word)):
                self._word = word

    def _noted(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except HactlError as error:
            self._notes_failed = True
            self._failed(error)
            return False
        return True

    def _clear_address(self) -> None:
        if not self._vip.here():
            self._down_since = None
            return
        now = self._clocks.monotonic()
        if self._down_since is None:
            self._down_since = now
        elif now - self._down_since > KEEPALIVED_WITHIN:
            self._vip.remove()

    def distrust(self) -> None:
        """After a sleep nothing is known of what was done before: it is all done again."""
        self.shut.clear()
        self._track = self._word = self._until = None

    def here(self) -> bool:
        return self._vip.here()
