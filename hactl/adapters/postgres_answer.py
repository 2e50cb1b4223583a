"""Whether a PostgreSQL server itself answers: a frozen machine's kernel still takes connections."""

from __future__ import annotations

import struct
import time
from typing import Final

from hactl.adapters.tcp import connect, translated
from hactl.errors import Unreachable
from hactl.view.model import Probe, State

# GSSENCRequest (PostgreSQL manual, "Message Formats"). The server answers G or N in one byte before anything
# else, also when it takes no sessions; who then leaves is not in its log, as after SSLRequest.
REQUEST: Final = struct.pack("!II", 8, 80877104)
ANSWERS: Final = frozenset({b"G", b"N"})


def answers(address: str, port: int, *, within: float) -> Probe:
    """OK: a process forked for us has answered. All together at most about `within` seconds."""
    what, end = f"{address}:{port}", time.monotonic() + within
    try:
        with connect(address, port, within=within) as sock, translated(what):
            sock.settimeout(max(0.001, end - time.monotonic()))
            sock.sendall(REQUEST)
            answer = sock.recv(1)
    except Unreachable as error:
        return Probe(State.FAILED, error.message)
    if answer not in ANSWERS:
        return Probe(State.FAILED, f"{what}: no PostgreSQL answers there")
    return Probe(State.OK)
