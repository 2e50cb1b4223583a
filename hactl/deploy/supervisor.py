"""Runs a program; when it ends, or hactl does, nothing that it started stays.

Ansible's workers and SSH's control masters leave the process group and the session of what started them, and
a hactl that was killed tidies nothing up. So two processes stand between it and the program:

    hactl -- front -- supervisor -- ansible-playbook -- workers, modules, ssh
      |                   |
      +----- SOCKET ------+

Every orphan below the supervisor becomes its child (PR_SET_CHILD_SUBREAPER), whatever its session. When the
program ends, or the other end of SOCKET closes, or the front is gone, the supervisor ends all of them. The
front is what ansible-runner takes for Ansible: to end a run it kills the front's process group with SIGKILL,
and the supervisor must not be in it.

Run as a file, `supervisor.py SOCKET PROGRAM ...`, by `python -I -S`: nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

POLITE = 1.0  # seconds between SIGTERM and SIGKILL: ssh removes its socket, Ansible its temporary files
GIVE_UP = 8.0  # seconds: what SIGKILL does not end by then hangs in the kernel, or is another account's
ENDED = 128 + signal.SIGTERM
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def main(argv: Sequence[str]) -> int:
    """The front: the program's exit code, or 128 + the signal that ended it."""
    place, *program = argv
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(place)  # refused when hactl is gone already: then nothing is started
    lifeline = connection.detach()  # closed by the kernel alone: hactl waits until neither process is left
    front, front_is_here = os.pipe()
    supervisor = os.fork()
    if supervisor == 0:
        os.close(front_is_here)
        return _supervise(program, lifeline, front)
    return _shell_code(os.waitpid(supervisor, 0)[1])


def _supervise(program: Sequence[str], lifeline: int, front: int) -> int:
    group = os.getpgrp()
    os.setpgid(0, 0)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    wake = _wake_on(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
    try:
        child = _start(program, group)
        _leave_the_terminal()
        return _watch(child, lifeline, front, wake)
    finally:
        _end_all()


def _start(program: Sequence[str], group: int) -> int:
    """Start the program in the front's group: that is the one which may use the terminal."""
    child = os.fork()
    if child == 0:
        try:
            os.setpgid(0, group)
            _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)  # should somebody kill the supervisor
            os.execvp(program[0], list(program))  # noqa: S606 - no shell is what we want
        except OSError as error:
            os.write(2, f"{program[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)
    return child


def _watch(child: int, lifeline: int, front: int, wake: socket.socket) -> int:
    """Wait until the program has ended or must end; its exit code."""
    poll = select.poll()
    for source in (lifeline, front, wake.fileno()):
        poll.register(source, select.POLLIN)
    while True:
        ready = {source for source, _ in poll.poll()}
        if not ready.isdisjoint({lifeline, front}):
            return ENDED
        if set(wake.recv(4096)) - {signal.SIGCHLD}:
            return ENDED
        status = _reap().get(child)
        if status is not None:
            return _shell_code(status)


def _end_all() -> None:
    """End every child, and what becomes one when its own parent ends, until none is left."""
    start, asked = time.monotonic(), set[int]()
    while _has_children() and time.monotonic() - start < GIVE_UP:
        late = time.monotonic() - start >= POLITE
        # Only we reap our children, so no number among them can mean another process by now.
        for child in children(os.getpid()):
            if late or child not in asked:
                with suppress(PermissionError):
                    os.kill(child, signal.SIGKILL if late else signal.SIGTERM)
                asked.add(child)
        time.sleep(0.02)


def children(parent: int) -> list[int]:
    """The processes whose parent this is, ended ones among them that nobody has reaped."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # "number (name) state parent ...": the name may hold anything, parentheses too
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == parent:
                found.append(int(stat.parent.name))
    return found


def _has_children() -> bool:
    _reap()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reap() -> dict[int, int]:
    """The children that have ended, with their wait status."""
    ended: dict[int, int] = {}
    with suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    return ended


def _wake_on(*numbers: signal.Signals) -> socket.socket:
    """From now on these signals do nothing but send their number to the socket."""
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return reader


def _leave_the_terminal() -> None:
    """ansible-runner reads the terminal to its end, which comes when nobody has it open any more."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)


def _prctl(what: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(what, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def _shell_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
