"""Structured log lines: one JSON object a line on standard error, which is the journal under systemd."""

from __future__ import annotations

import json
import sys
import threading
from typing import TextIO


class EventLog:
    """Thread-safe. No time stamps: journald adds them, and nothing here decides by a wall clock."""

    def __init__(self, who: str, stream: TextIO | None = None) -> None:
        self._who, self._stream = who, stream
        self._lock = threading.Lock()
        self._last: dict[str, object] = {}

    def say(self, event: str, **fields: object) -> None:
        line = json.dumps({"event": event, "by": self._who, **fields}, default=str, ensure_ascii=False)
        with self._lock:
            stream = self._stream or sys.stderr
            stream.write(line + "\n")
            stream.flush()

    def changed(self, what: str, value: object, event: str, **fields: object) -> bool:
        """`say`, but only when `value` is another than the last one of `what`."""
        with self._lock:
            if what in self._last and self._last[what] == value:
                return False
            self._last[what] = value
        self.say(event, **fields)
        return True
