"""Tells systemd how this service does: READY=1, WATCHDOG=1, STATUS=... One datagram each (sd_notify(3))."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class SystemdNotify:
    """Without $NOTIFY_SOCKET (started by hand) it says nothing."""

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        path = (os.environ if environ is None else environ).get("NOTIFY_SOCKET", "")
        self._path = "\0" + path[1:] if path.startswith("@") else path

    def say(self, *words: str) -> None:
        """Never raises and never waits: whoever does not hear the watchdog's word acts by itself."""
        if not self._path:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out,
        ):
            out.sendto("\n".join(words).encode(), self._path)
