"""Threads for work that may hang: as many as there is work at once, up to a limit; idle ones leave."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Final

STAYS: Final = 30.0  # seconds without work
Work = Callable[[], None]


class Crew:
    """Thread-safe. The one who was busy last is asked first, so that the others may leave."""

    def __init__(self, name: str, most: int) -> None:
        self._name, self._most = name, most
        self._lock = threading.Lock()
        self._idle: list[queue.SimpleQueue[Work]] = []
        self._threads: set[threading.Thread] = set()
        self._over = False

    def give(self, work: Work) -> bool:
        """Begun at once by somebody. False: all are at work, as many as there may be, or it is over.

        What `work` raises ends its thread, with a traceback on standard error, and nobody else's.
        """
        with self._lock:
            if self._over:
                return False
            if self._idle:
                self._idle.pop().put(work)
                return True
            if len(self._threads) >= self._most:
                return False
            thread = threading.Thread(target=self._run, args=(work,), name=self._name, daemon=True)
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more threads: as if this were the limit
            with self._lock:
                self._threads.discard(thread)
            return False
        return True

    def end(self, within: float) -> bool:
        """Nothing is begun any more. Whether all who were at work ended within `within` seconds."""
        with self._lock:
            self._over = True
            idle, self._idle = self._idle, []
            threads = list(self._threads)
        for post in idle:
            post.put(lambda: None)
        deadline = time.monotonic() + within
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _run(self, work: Work) -> None:
        post: queue.SimpleQueue[Work] = queue.SimpleQueue()
        next_: Work | None = work
        try:
            while next_ is not None:
                next_()
                next_ = self._wait(post)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _wait(self, post: queue.SimpleQueue[Work]) -> Work | None:
        """None: go home."""
        with self._lock:
            if self._over:
                return None
            self._idle.append(post)
        try:
            return post.get(timeout=STAYS)
        except queue.Empty:
            with self._lock:
                if post in self._idle:
                    self._idle.remove(post)
                    return None
        return post.get()  # it was given work in that very moment
