"""A command in a terminal of a given size: what a person would see on the screen."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pyte

ENDS_WITHIN = 10.0
OTHER_SCREEN, FIRST_SCREEN = b"\x1b[?1049h", b"\x1b[?1049l"


class Terminal:
    """`screen()`: its lines now. The command is interrupted as by Ctrl-C when the block ends."""

    def __init__(self, argv: Sequence[str], width: int, height: int, env: dict[str, str]) -> None:
        self._screen = pyte.Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self._said = b""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._child = subprocess.Popen(
            argv, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, close_fds=True,
            env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", **env},
        )  # fmt: skip
        os.close(slave)

    def screen(self) -> list[str]:
        self._feed(0.0)
        return [line.rstrip() for line in self._screen.display]

    def until(self, what: str, true: Callable[[list[str]], bool], within: float) -> list[str]:
        """The lines for which it is true. Raises AssertionError, with what is there instead."""
        deadline = time.monotonic() + within
        while not true(self.screen()):
            assert time.monotonic() < deadline, f"{what}: not within {within:g} s:\n" + "\n".join(
                self.screen()
            )
            self._feed(0.1)
        return self.screen()

    def given_back(self) -> bool:
        """The command drew on a screen of its own, and the one before is there again."""
        self._feed(0.0)
        other = self._said.rfind(OTHER_SCREEN)
        return 0 <= other < self._said.rfind(FIRST_SCREEN)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code. Raises TimeoutExpired."""
        self._child.send_signal(signal.SIGINT)
        return self._child.wait(ENDS_WITHIN)

    def close(self) -> None:
        if self._child.poll() is None:
            self._child.kill()
            self._child.wait(ENDS_WITHIN)
        os.close(self._master)

    def _feed(self, within: float) -> None:
        while select.select([self._master], [], [], within)[0]:
            try:
                said = os.read(self._master, 65536)
            except OSError:  # the command ended
                return
            self._said += said
            self._stream.feed(said)
            within = 0.0


@contextmanager
def terminal(
    argv: Sequence[str], width: int = 80, height: int = 24, env: dict[str, str] | None = None
) -> Iterator[Terminal]:
    found = Terminal(argv, width, height, env or {})
    try:
        yield found
    finally:
        found.close()
