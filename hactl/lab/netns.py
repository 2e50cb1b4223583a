"""Network namespaces of the lab: entering one, and whether it is there."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hactl.errors import Unreachable

RUN: Final = Path("/run/netns")
_CLONE_NEWNET: Final = 0x40000000


def exists(name: str) -> bool:
    return (RUN / name).exists()


def alive(name: str) -> bool:
    """Whether the name stands for a namespace; it does not when `ip netns add` was killed half-way."""
    try:
        return (RUN / name).stat().st_dev == Path("/proc/self/ns/net").stat().st_dev
    except OSError:
        return False


def names(prefix: str) -> list[str]:
    """All namespaces whose names begin so."""
    return sorted(entry.name for entry in RUN.glob(f"{prefix}*"))


@contextmanager
def entered(name: str) -> Iterator[None]:
    """The calling thread, and what it starts, is in the network namespace `name` inside the block, then back.

    Raises:
        Unreachable: there is no such namespace, or it may not be entered (root only).

    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(name)
        try:
            yield
        finally:
            _setns(home, "where we came from")
    finally:
        os.close(home)


def _enter(name: str) -> None:
    try:
        target = os.open(RUN / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Unreachable(f"the network namespace {name} is not there", hint="hactl lab up") from error
    try:
        _setns(target, name)
    finally:
        os.close(target)


def _setns(handle: int, name: str) -> None:
    # os.setns exists from Python 3.12 on; Debian 12 has 3.11.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(handle, _CLONE_NEWNET) != 0:
        raise Unreachable(f"cannot enter the network namespace {name}: {os.strerror(ctypes.get_errno())}")
