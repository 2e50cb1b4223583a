"""Debian's fence agents (package fence-agents): options on standard input, the answer is text and exit code.

What they answer (their library, fencing.py): `status` ends with 0 and "Status: ON", or with 2 and "Status:
OFF". But 2 is also "bad arguments", so the code alone says nothing; nor does the 0 of `off`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from hactl.adapters.command import BASE_ENV
from hactl.errors import Refused, StepFailed, Unreachable

WARM = 2
FOLDER = Path("/usr/sbin")  # where Debian installs them
_STATUS = re.compile(r"^Status:\s*(ON|OFF)\s*$", re.MULTILINE | re.IGNORECASE)
_CODES = {"on": 0, "off": 2}
# After "off" an agent would sleep (fence_ipmilan: 2 s). hactl reads the status by itself, and sooner.
_DEFAULTS: Mapping[str, str | int] = {"power_wait": 0}


class FenceAgent:
    """One node's agent. Its programs run in process groups of their own, and end when their time is up."""

    def __init__(self, program: str, options: Mapping[str, str | int], *, folder: Path = FOLDER) -> None:
        self._path = folder / program
        self._options = {**_DEFAULTS, **options}
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._idle: list[subprocess.Popen[str]] = []
        self._called_off = False

    def power(self, *, within: float) -> str:
        """`on` or `off`, read now.

        Raises:
            Unreachable: no answer in time, no such program, no password file; or it was called off.
            StepFailed: the answer is neither.

        """
        code, said = self._run("status", within)
        found = _STATUS.search(said)
        word = found[1].lower() if found else ""
        if _CODES.get(word) != code:
            raise StepFailed(f"{self._path.name} status ended with code {code}: {_last(said)}")
        return word

    def switch_off(self, *, within: float, may: Callable[[], bool] = lambda: True) -> str:
        """Ask for power off; what the agent said. That it worked is for `power` to find out.

        `may` is asked when all that is left is to hand the order over.

        Raises:
            Refused: it may not any more; nothing was sent.
            Unreachable, StepFailed: as `power`.

        """
        return self._ask("off", within, may)

    def switch_on(self, *, within: float) -> str:
        """Ask for power on, as `switch_off` does for off."""
        return self._ask("on", within)

    def warm(self) -> None:
        """Start its program ahead, for the status and for off: that is half of what an answer takes.

        It waits for its options on standard input; without them it does nothing, whatever becomes of us.
        """
        with self._lock:
            self._idle = [p for p in self._idle if p.poll() is None]
            with contextlib.suppress(Unreachable):  # said when it is needed
                while len(self._idle) < WARM:
                    self._idle.append(self._launch())

    def cool(self) -> None:
        """End what was started ahead and is not needed."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            self._end(process)

    def call_off(self) -> None:
        """End what runs; nothing new is started before `allow`."""
        with self._lock:
            self._called_off = True
            for group in self._running:
                _kill(group)

    def allow(self) -> None:
        with self._lock:
            self._called_off = False

    def _ask(self, action: str, within: float, may: Callable[[], bool] = lambda: True) -> str:
        code, said = self._run(action, within, may)
        if code != 0:
            raise StepFailed(f"{self._path.name} {action} ended with code {code}: {_last(said)}")
        return _last(said)

    def _run(self, action: str, within: float, may: Callable[[], bool] = lambda: True) -> tuple[int, str]:
        given = self._stdin(action)
        process = self._start()
        try:
            if not may():
                raise Refused(f"{self._path.name} {action}: too late, nothing was sent")
            out, _ = process.communicate(given, timeout=within)
        except subprocess.TimeoutExpired as error:
            raise Unreachable(f"{self._path.name} {action}: no answer within {within:g} s") from error
        finally:
            self._end(process)
        return process.returncode, out

    def _start(self) -> subprocess.Popen[str]:
        with self._lock:
            if self._called_off:
                raise Unreachable(f"{self._path.name}: called off")
            ready = next((p for p in self._idle if p.poll() is None), None)
            if ready is not None:
                self._idle.remove(ready)
            process = ready or self._launch()
            self._running.add(process.pid)
        return process

    def _launch(self) -> subprocess.Popen[str]:
        try:
            return subprocess.Popen(
                [str(self._path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, env=BASE_ENV, encoding="utf-8", errors="replace",
                start_new_session=True, cwd="/",
            )  # fmt: skip
        except OSError as error:
            why, hint = error.strerror or str(error), "apt-get install fence-agents"
            raise Unreachable(f"cannot start {self._path}: {why}", hint=hint) from error

    def _end(self, process: subprocess.Popen[str]) -> None:
        """The whole group: an agent's own child would hold the pipe, and might still act."""
        with self._lock:
            self._running.discard(process.pid)
            if process.poll() is None:
                _kill(process.pid)
        process.wait(1)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _stdin(self, action: str) -> str:
        given = {k: _value(v) for k, v in self._options.items() if k != "password_file"}
        file = self._options.get("password_file")
        if file is not None:
            given["password"] = _password(Path(str(file)))
        given["action"] = action
        return "".join(f"{name}={value}\n" for name, value in given.items())


def _value(value: str | int) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _password(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not text"
        raise Unreachable(f"cannot read the fence agent's password file {file}: {why}") from error
    if not text or "\n" in text:
        raise Unreachable(f"the fence agent's password file {file} must hold one line")
    return text


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _last(said: str) -> str:
    lines = [line.strip() for line in said.strip().splitlines() if line.strip()]
    return lines[-1][:200] if lines else "(nothing)"
