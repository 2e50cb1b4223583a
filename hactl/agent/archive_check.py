"""The end-to-end check, each minute, in a process of its own: its libraries are larger than the agent."""

from __future__ import annotations

import json
import sys
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from hactl.errors import HactlError, Unreachable
from hactl.view.archive import NOT_RUN, EndToEnd
from hactl.view.model import Unknown
from hactl.view.parse.archive import read_check

EVERY: Final = 60.0
AGAIN: Final = 5.0  # after a check that failed, and twice as long after each further one


class Ran(Protocol):
    @property
    def out(self) -> str: ...

    @property
    def err(self) -> str: ...


Run = Callable[[Sequence[str]], Ran]


def argv(node: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "hactl", "-o", "json", "archive", "probe", "--on-node", node)


class Checks:
    """`run` raises what hactl.adapters.command does, but not for an exit code."""

    def __init__(self, node: str, run: Run, changed: Callable[[], None] = lambda: None) -> None:
        self._node, self._run_it, self._changed = node, run, changed
        self._last: EndToEnd | Unknown = NOT_RUN
        self._bad = 0  # in a row

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stop,), name="check", daemon=True).start()

    def last(self) -> EndToEnd | Unknown:
        return self._last

    def _run(self, stop: threading.Event) -> None:
        # Not all nodes at once: each one's offset in the minute is its name's.
        pause = 5.0 + zlib.crc32(self._node.encode()) % 1000 * (EVERY - 10.0) / 1000
        while not stop.wait(pause):
            pause = self.once()

    def once(self) -> float:
        """Seconds until the next one is due: what failed, perhaps in a failover, is soon tried again."""
        try:
            done = self._run_it(argv(self._node))
            self._last = _read(done)
        except HactlError as error:
            self._last = Unknown(error.message)
        self._changed()
        if isinstance(self._last, EndToEnd) and self._last.ok:
            self._bad = 0
            return EVERY
        self._bad += 1
        return min(EVERY, AGAIN * 2.0 ** min(self._bad - 1, 10))


def _read(done: Ran) -> EndToEnd | Unknown:
    """Raises Unreachable: it did not say what came of it."""
    try:
        return read_check(json.loads(done.out))
    except ValueError as error:
        said = (done.err.strip().splitlines() or ["nothing"])[-1]
        raise Unreachable(f"the end-to-end check said: {said[:300]}") from error
