"""Connections without a protocol: does a port accept, does an SSH server greet."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from hactl.errors import Unreachable
from hactl.ports import PortClosed, Silent
from hactl.view.control import REFUSED
from hactl.view.model import Probe, State

# A host that is off answers nothing; 1 s is far above a LAN's round trip and half of what status may take.
CONNECT_WITHIN = 1.0


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """The operating system's errors while connecting and talking, in this project's words."""
    try:
        yield
    except ConnectionRefusedError as error:
        raise PortClosed(f"{what}: {REFUSED}") from error
    except TimeoutError as error:
        raise Unreachable(f"{what}: no answer in time") from error
    except OSError as error:
        raise Unreachable(f"{what}: {error.strerror or error}") from error


def connect(address: str, port: int, *, within: float = CONNECT_WITHIN) -> socket.socket:
    """A connected socket.

    Raises:
        Silent: nothing answers at the address (time-out, no route).
        PortClosed: the address answers, the port is closed.

    """
    what = f"{address}:{port}"
    try:
        return socket.create_connection((address, port), timeout=within)
    except ConnectionRefusedError as error:
        raise PortClosed(f"{what}: {REFUSED}") from error
    except TimeoutError as error:
        raise Silent(f"{what}: no connection within {within:g} s") from error
    except OSError as error:
        raise Silent(f"{what}: {error.strerror or error}") from error


def accepts(address: str, port: int, *, within: float = CONNECT_WITHIN) -> Probe:
    try:
        connect(address, port, within=within).close()
    except Unreachable as error:
        return Probe(State.FAILED, error.message)
    return Probe(State.OK)


class SshBanner:
    """Reachable: the SSH server greets. The kernel of a half-dead host still accepts connections.

    The greeting is returned before leaving: sshd logs an error for whoever leaves without.
    """

    def __init__(self, address: str, port: int, *, within: float = CONNECT_WITHIN) -> None:
        self._address, self._port, self._within = address, port, within

    def reachable(self) -> Probe:
        what = f"{self._address}:{self._port}"
        try:
            with connect(self._address, self._port, within=self._within) as sock, translated(what):
                sock.settimeout(self._within)
                greeting = sock.recv(256)
                sock.sendall(b"SSH-2.0-hactl_status\r\n")
        except Unreachable as error:
            return Probe(State.FAILED, error.message)
        if not greeting.startswith(b"SSH-"):
            return Probe(State.FAILED, f"{what}: no SSH server answers there")
        return Probe(State.OK)
