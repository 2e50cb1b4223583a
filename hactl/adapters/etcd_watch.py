"""etcd's watch through the JSON gateway, as a hint only: whatever arrives on the stream says "look again"."""

from __future__ import annotations

import contextlib
import json
import select
import ssl
import threading
import time
from collections.abc import Callable, Sequence

from hactl.adapters.etcd_wire import watch_requests
from hactl.adapters.http_keep import KeepAlive, post_request
from hactl.errors import Unreachable

OPENED_WITHIN = 0.7  # less than the second within which a watch ends
LISTENS = 0.2  # seconds between looks at `stop`
LONGEST = (
    30.0  # seconds for one stream: one that died without a word, or went to a lone member, ends by itself
)


def watch_once(
    server: KeepAlive, prefixes: Sequence[str], on_change: Callable[[], None], stop: threading.Event
) -> bool:
    """One stream from one endpoint. False: it could not be opened, or the endpoint ended it.

    What comes is not read: the first answer says that the watch stands (and what came before it may have been
    missed), each later one that something changed, and an error makes one look that was not needed.
    """
    try:
        tls = server.connect(time.monotonic() + OPENED_WITHIN)
    except Unreachable:
        return False
    with contextlib.closing(tls):
        try:
            tls.sendall(_request(server, prefixes))
            return _listen(tls, on_change, stop)
        except OSError:
            return False


def _listen(tls: ssl.SSLSocket, on_change: Callable[[], None], stop: threading.Event) -> bool:
    tls.settimeout(LISTENS)
    poll = select.poll()
    poll.register(tls, select.POLLIN)
    end = time.monotonic() + LONGEST
    while not stop.is_set() and time.monotonic() < end:
        if not tls.pending() and not poll.poll(LISTENS * 1000):
            continue
        with contextlib.suppress(TimeoutError, ssl.SSLWantReadError):
            if not tls.recv(65536):
                return False
            on_change()
    return True


def _request(server: KeepAlive, prefixes: Sequence[str]) -> bytes:
    """All watches in one body, which ends: Go's HTTP server answers only after it has read the body."""
    body = b"".join(json.dumps(r).encode() + b"\n" for r in watch_requests(prefixes))
    return post_request("/v3/watch", server.what, body)
