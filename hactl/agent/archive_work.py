"""What an archive node's agent has others do, one at a time: stop and start the archive, read an image."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Protocol

from hactl.agent.archive import PROVE, START, STOP, TRY
from hactl.agent.ports import RootActs
from hactl.errors import HactlError
from hactl.view.archive_kind import Program
from hactl.view.storage import StorageSeen

ACT_WITHIN: Final = 60.0
SOON: Final = 2.0  # s after what was done: Orthanc needs as long until it listens
AGAIN: Final = 5.0  # s after what failed


class Noted(Protocol):
    def note_stopped(self, *, stopped: bool) -> None: ...


class Work:
    """Wishes come again with each round as long as they stand; the newest ones count."""

    def __init__(
        self,
        acts: RootActs,
        notes: Noted,
        prove: Callable[[], str],
        program: Program,
        now: Callable[[], float],
        say: Callable[..., None],
    ) -> None:
        self._acts, self._notes, self._prove, self._now, self._say = acts, notes, prove, now, say
        self._program = program
        self._lock = threading.Lock()
        self._wishes: tuple[str, ...] = ()
        self._about: object = None
        self._not_before: dict[str, float] = {}
        self._doing = ""
        self._some = threading.Event()
        self.proven: StorageSeen | None = None

    def wish(self, acts: tuple[str, ...], about: object) -> None:
        """`about`: the storage as it is seen now, for what is to be proven."""
        with self._lock:
            self._wishes = tuple(act for act in acts if act in {STOP, START, TRY, PROVE})
            self._about = about
        if self._wishes:
            self._some.set()

    @property
    def stopping(self) -> bool:
        """It may still listen, and will not for long."""
        return self._doing == STOP

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._some.wait(1.0)
            self._some.clear()
            self.once()

    def once(self) -> None:
        with self._lock:
            wishes, about, self._wishes = self._wishes, self._about, ()
        for act in wishes:
            if self._now() < self._not_before.get(act, 0.0):
                continue
            self._doing = act
            done = self._do(act, about)
            self._doing = ""
            self._not_before[act] = self._now() + (SOON if done else AGAIN)

    def _do(self, act: str, about: object) -> bool:
        """Never raises: what failed is said, and tried again."""
        try:
            does: dict[str, Callable[[], str]] = {STOP: self._stop, START: self._start, TRY: self._try}
            said = does.get(act, lambda: self._proved(about))()
        except HactlError as error:
            self._say("archive act failed", act=act, why=error.message)
            return False
        self._say("archive act", act=act, said=said)
        return True

    def _stop(self) -> str:
        self._notes.note_stopped(stopped=True)
        return self._acts.act(self._program.stop, within=ACT_WITHIN)

    def _try(self) -> str:
        """The note stays: an agent that begins meanwhile must not take it for one on the right disk."""
        return self._acts.act("start", self._program.unit, within=ACT_WITHIN)

    def _start(self) -> str:
        said = self._try()
        self._notes.note_stopped(stopped=False)
        return said

    def _proved(self, about: object) -> str:
        said = self._prove()
        self.proven = about if isinstance(about, StorageSeen) else None
        return said
