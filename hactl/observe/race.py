"""Asks many at once; who has not answered when the time is up becomes Unknown.

Plain daemon threads: an executor would wait for its stragglers when the program ends.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from hactl.errors import HactlError
from hactl.ports import Clock, Untrusted
from hactl.view.model import Unknown

T = TypeVar("T")
TELL_EVERY = 0.2  # s
_BUG = Unknown("hactl itself failed while asking; the traceback is on standard error")


class Pending(Generic[T]):
    """An answer on its way. It counts only if it came before the race was closed."""

    def __init__(self) -> None:
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._value: T | Unknown = _BUG
        self._closed = False

    def run(self, ask: Callable[[], T]) -> None:
        # Anything but a HactlError is a bug: its traceback goes to standard error by way of the thread's own
        # excepthook, the source stays unknown, and the others are still shown.
        try:
            self._settle(ask())
        except HactlError as error:
            self._settle(Unknown(error.message, untrusted=isinstance(error, Untrusted)))
        finally:
            self._done.set()

    def _settle(self, value: T | Unknown) -> None:
        with self._lock:
            if not self._closed:
                self._value = value

    def close(self, within: float) -> None:
        """Wait at most `within` seconds; a later answer changes nothing any more."""
        came = self._done.wait(max(0.0, within))
        with self._lock:
            self._closed = True
            if not came and not self._done.is_set():
                self._value = Unknown("no answer in time")

    def wait(self, within: float) -> None:
        self._done.wait(within)

    @property
    def came(self) -> bool:
        return self._done.is_set()

    @property
    def value(self) -> T | Unknown:
        return self._value


class Race:
    """One gathering: `ask` starts at once, `finish` ends everything at one common deadline."""

    def __init__(self, clock: Clock, within: float) -> None:
        self._clock = clock
        self._end = clock.monotonic() + within
        self._pending: list[Pending[object]] = []
        self._names: list[str] = []

    def ask(self, name: str, question: Callable[[], T]) -> Pending[T]:
        pending: Pending[T] = Pending()
        self._names.append(name)
        self._pending.append(pending)  # type: ignore[arg-type]  # only closed here, never read or written
        threading.Thread(target=pending.run, args=(question,), name=name, daemon=True).start()
        return pending

    def finish(self, waiting: Callable[[list[str]], None] | None = None) -> None:
        """`waiting` is told now and then who has not answered yet."""
        while waiting is not None and (left := self._end - self._clock.monotonic()) > 0:
            late = [(name, p) for name, p in zip(self._names, self._pending, strict=True) if not p.came]
            if not late:
                break
            waiting([name for name, _ in late])
            late[0][1].wait(min(TELL_EVERY, left))
        for pending in self._pending:
            pending.close(self._end - self._clock.monotonic())
