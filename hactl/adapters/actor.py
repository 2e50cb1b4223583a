"""Who runs this command: the account that logged in, and where its SSH session came from.

The kernel keeps the login's account over su and sudo (/proc/self/loginuid); a session's variables do not
outlive sudo, so those of the processes above are read as well, as far as this account may.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")
UNSET: Final = 2**32 - 1  # no login: a container, or a service
HIGHEST: Final = 32  # processes above this one that are looked at


@dataclass(frozen=True)
class Caller:
    """Somebody of the spec's `access.people`, as `hactl gate` knows them. `role`: the spec's word."""

    person: str
    role: str


_gate: list[Caller] = []  # at most one: a process serves one call


def acts_as(caller: Caller) -> None:
    """Told once by `hactl gate`, in this process: no variable says it, so nobody else can."""
    _gate[:] = [caller]


def caller() -> Caller | None:
    """None: this call did not come through the gate."""
    return _gate[0] if _gate else None


def account(proc: Path = PROC) -> str:
    """`anna`; `anna as root` after su or sudo. Of what the kernel says: the environment is anybody's.

    Through the gate: the person.
    """
    if _gate:
        return _gate[0].person
    now, login = os.geteuid(), _login(proc)
    return _name(now) if login in {UNSET, now} else f"{_name(login)} as {_name(now)}"


def origin(environment: Mapping[str, str] | None = None, proc: Path = PROC) -> str:
    """The address that the SSH session came from; empty: a local one, or it cannot be seen."""
    own = os.environ if environment is None else environment
    for value in (own.get("SSH_CONNECTION", ""), *_above(proc)):
        if value:
            return value.split()[0]
    return ""


def logged_in_as(proc: Path = PROC) -> str:
    """The account of the login, whatever su and sudo made of it; empty: the kernel does not say."""
    login = _login(proc)
    return "" if login == UNSET else _name(login)


def _login(proc: Path) -> int:
    try:
        return int((proc / "self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):  # a kernel without audit
        return UNSET


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _above(proc: Path) -> Iterator[str]:
    pid = os.getppid()
    for _ in range(HIGHEST):
        if pid <= 1:
            return
        with contextlib.suppress(OSError):
            for variable in (proc / str(pid) / "environ").read_bytes().split(b"\0"):
                if variable.startswith(b"SSH_CONNECTION="):
                    yield variable.partition(b"=")[2].decode("ascii", "replace")
        pid = _parent(proc, pid)


def _parent(proc: Path, pid: int) -> int:
    try:
        stat = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[1])  # a program's name may hold anything, also brackets
    except (OSError, ValueError, IndexError):
        return 0
