"""What may change the storage: a small program under Orthanc's account, asked over a local socket."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from hactl.errors import StepFailed, Unreachable

WITHIN: Final = 60.0  # s for one read or write of the socket; a large image has many
PIECE: Final = 1024 * 1024
Connect = Callable[[], socket.socket]


def local(path: Path) -> Connect:
    """A connection to the socket at `path` (hactl-hand.socket)."""

    def connect() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(WITHIN)
        try:
            sock.connect(str(path))
        except OSError as error:
            sock.close()
            hint = "systemctl status hactl-hand.socket"
            raise Unreachable(f"{path}: {error.strerror or error}", hint=hint) from error
        return sock

    return connect


class Hand:
    """Each request has a connection, and so a process, of its own."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def aside(self, uuid: str) -> str:
        """Move an image into the folder of kept files; where it is now, below the storage.

        Raises:
            StepFailed: it did not.
            Unreachable: nobody answers.

        """
        with self._asked({"verb": "aside", "uuid": uuid}) as sock:
            return _answer(sock)

    def put(self, uuid: str, content: BinaryIO, size: int, sha256: str) -> None:
        """Write an image where none is. Raises StepFailed, Unreachable; nothing is there then."""
        asked = {"verb": "put", "uuid": uuid, "size": size, "sha256": sha256}
        with self._asked(asked) as sock:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # it refused; its answer says why
                while piece := content.read(PIECE):
                    sock.sendall(piece)
            _answer(sock)

    @contextlib.contextmanager
    def _asked(self, asked: dict[str, object]) -> Iterator[socket.socket]:
        with self._connect() as sock:
            try:
                sock.sendall(json.dumps(asked).encode() + b"\n")
                yield sock
            except OSError as error:
                raise Unreachable(f"the storage's hand: {error.strerror or error}") from error


def _answer(sock: socket.socket) -> str:
    sock.shutdown(socket.SHUT_WR)
    with sock.makefile("rb") as reader:
        line = reader.readline(4096)
    try:
        reply: Any = json.loads(line)
        done, said = bool(reply["ok"]), str(reply["said"])
    except (ValueError, KeyError, TypeError) as error:
        raise Unreachable("the storage's hand gave no proper answer") from error
    if not done:
        raise StepFailed(f"the storage was not changed: {said}")
    return said
