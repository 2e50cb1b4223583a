"""What Ansible's tasks have the deploying process do: it has the operation lock, and they have not.

A socket in a folder of this run's; a task (ansible/action_plugins/hactl_archive.py) sends one line of JSON,
{"act": "out", "node": "arc1"}, and gets one back: {"ok": true, "changed": true, "said": ""}.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hactl.errors import HactlError

NAME: Final = "hand"
LOOK_EVERY: Final = 0.5  # s between two looks whether it shall end
LINE_WITHIN: Final = 5.0
ENDS_WITHIN: Final = 10.0
LONGEST: Final = 1 << 16
Act = Callable[[str], bool]  # a node; whether anything was done. It raises HactlError.


@contextmanager
def offered(folder: Path, acts: Mapping[str, Act], stop: threading.Event) -> Iterator[str]:
    """The socket's path, while the block runs. `stop` is set when it is left, and ends an act that waits."""
    place = folder / NAME
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen(4)
        listener.settimeout(LOOK_EVERY)
        thread = threading.Thread(target=_serve, args=(listener, acts, stop), name="hand", daemon=True)
        thread.start()
        try:
            yield str(place)
        finally:
            stop.set()
            thread.join(ENDS_WITHIN)


def _serve(listener: socket.socket, acts: Mapping[str, Act], stop: threading.Event) -> None:
    while not stop.is_set():
        try:
            connection, _ = listener.accept()
        except TimeoutError:
            continue
        except OSError:
            return
        with connection, suppress(OSError):  # who asked may be gone by now
            connection.settimeout(LINE_WITHIN)
            connection.sendall(json.dumps(_answer(_line(connection), acts)).encode() + b"\n")


def _line(connection: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n") and len(found) < LONGEST:
        more = connection.recv(4096)
        if not more:
            break
        found += more
    return found


def _answer(line: bytes, acts: Mapping[str, Act]) -> Mapping[str, object]:
    try:
        asked = json.loads(line)
        act, node = acts[asked["act"]], str(asked["node"])
    except (ValueError, KeyError, TypeError):
        return {"ok": False, "changed": False, "said": "that is not understood"}
    try:
        return {"ok": True, "changed": act(node), "said": ""}
    except HactlError as error:
        said = "; ".join([error.message, *getattr(error, "vetoes", ())])
        return {"ok": False, "changed": False, "said": f"{said} -> {error.hint}" if error.hint else said}
