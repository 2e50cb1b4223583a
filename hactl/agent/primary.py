"""Patroni's word on this node's PostgreSQL, asked in a thread of its own; faster while it is awaited."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from hactl.agent.lease import Primary
from hactl.agent.ports import Clocks
from hactl.errors import Unreachable
from hactl.ports import Reply

URL = "https://127.0.0.1:{port}/primary"
EVERY = 0.5
AWAITED = 0.05  # while this node leads and PostgreSQL is not promoted yet: it takes 0.1 s
AWAITED_FOR = 15.0  # a promotion that takes longer is asked about as usual
WITHIN = 1.0
STALE = 2.5  # an answer older than this is none


class Get(Protocol):
    def __call__(self, method: str, url: str, *, within: float) -> Reply: ...


class PrimaryLook:
    """`woke` is called when the answer changes. 503 is Patroni's no; what is not that nor 200 is silence."""

    def __init__(self, get: Get, url: str, clocks: Clocks, woke: Callable[[], None]) -> None:
        self._get, self._url, self._clocks, self._woke = get, url, clocks, woke
        self._seen: tuple[Primary, float] = (Primary.SILENT, clocks.monotonic())
        self._awaited_since: float | None = None
        self._hurry = threading.Event()
        self.why = "not asked yet"

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stop,), name="patroni", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.once()
            self._hurry.wait(self._pause())
            self._hurry.clear()

    def _pause(self) -> float:
        since = self._awaited_since
        if since is not None and self._clocks.monotonic() - since < AWAITED_FOR:
            return AWAITED
        return EVERY

    def once(self) -> None:
        now = self._ask()
        before = self._seen[0]
        self._seen = (now, self._clocks.monotonic())
        if now is not before:
            self._woke()

    def _ask(self) -> Primary:
        try:
            status = self._get("GET", self._url, within=WITHIN).status
        except Unreachable as error:
            self.why = error.message
            return Primary.SILENT
        self.why = f"/primary answers {status}"
        return {200: Primary.YES, 503: Primary.NO}.get(status, Primary.SILENT)

    def primary(self) -> Primary:
        said, at = self._seen
        return Primary.SILENT if self._clocks.monotonic() - at > STALE else said

    def awaited(self, *, wanted: bool) -> None:
        """The lease loop: this node leads, so the answer matters now; or it does not."""
        if not wanted:
            self._awaited_since = None
        elif self._awaited_since is None:
            self._awaited_since = self._clocks.monotonic()
            self._hurry.set()
