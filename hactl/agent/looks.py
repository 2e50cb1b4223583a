"""Questions asked again and again, each in its own thread: what hangs shows its age and stalls nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from hactl.errors import HactlError
from hactl.view.model import Unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Seen(Generic[T]):
    """The last answer, when it came, and since when the next one is awaited (monotonic seconds)."""

    value: T | Unknown
    at: float
    asked: float | None = None


class Look(Generic[T]):
    """`ask` is called each `every` seconds while nothing hangs; `changed` after an answer unlike the last."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], T],
        every: float,
        monotonic: Callable[[], float],
        changed: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._ask, self._every, self._now, self._changed = ask, every, monotonic, changed
        self._lock = threading.Lock()
        self._seen: Seen[T] = Seen(Unknown("not looked yet"), monotonic())
        self._again = threading.Event()

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stop,), name=self.name, daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            began = self.once()
            self._again.wait(max(0.01, began + self._every - self._now()))
            self._again.clear()

    def once(self) -> float:
        """One question; when it was asked."""
        began = self._now()
        with self._lock:
            before = self._seen
            self._seen = Seen(before.value, before.at, began)
        value: T | Unknown
        try:
            value = self._ask()
        except HactlError as error:
            value = Unknown(error.message)
        with self._lock:
            self._seen = Seen(value, self._now())
        if self._changed is not None and value != before.value:
            self._changed()
        return began

    def hurry(self) -> None:
        """Ask again now, if the last question was answered."""
        self._again.set()

    def seen(self) -> Seen[T]:
        with self._lock:
            return self._seen

    def waited(self) -> float:
        """For how long the question in flight has been waiting; 0.0: none is."""
        asked = self.seen().asked
        return 0.0 if asked is None else self._now() - asked

    def since(self, moment: float) -> float:
        """Seconds since a moment of this look's clock."""
        return max(0.0, self._now() - moment)

    def answer(self, *, within: float) -> T | Unknown:
        """The last answer, if the question after it does not wait for longer than `within`."""
        seen, waited = self.seen(), self.waited()
        if waited > within:
            return Unknown(f"no answer for {waited:.1f} s")
        return seen.value
