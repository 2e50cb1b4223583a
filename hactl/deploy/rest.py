"""While a deployment restarts things, hactl itself takes nothing for a fault: a key in etcd says so.

The key hangs on a lease in etcd that this process keeps alive. However a deployment ends, killed or cut off,
the key is gone `TTL` seconds later. Patroni and keepalived go on as always: only hactl's own acts rest.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hactl.errors import Unreachable
from hactl.ports import EtcdKv, NoSuchLease
from hactl.view.keys import Keys
from hactl.view.kv import Get, Put, absent

TTL = 60  # seconds
BEAT = 10.0  # seconds between two signs of life; four may be lost
WITHIN = 3.0  # seconds for one call: etcd's members are restarted meanwhile, one at a time


def who() -> str:
    """Who deploys, for whoever asks why nothing is automatic."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Rest:
    """The key, and the lease that it hangs on. `found`: somebody's own pause, which is left alone."""

    def __init__(self, kv: EtcdKv, keys: Keys, by: str) -> None:
        self._kv, self._key = kv, keys.paused
        self._value = json.dumps({"reason": "deploy", "by": by})
        self._lease = 0
        self._put = False
        self.found = ""

    def begin(self) -> None:
        """Put the key, unless there is one. Raises Unreachable; calling it again goes on from there."""
        self._lease = self._lease or self._kv.grant(TTL, within=WITHIN)
        put = Put(self._key, self._value, self._lease)
        try:
            reply = self._kv.txn([absent(self._key)], [put], [Get(self._key)], within=WITHIN, again=True)
        except NoSuchLease:
            self._lease = 0
            raise
        there = reply.results[0] if not reply.succeeded and reply.results else ()
        if there and there[0].lease != self._lease:
            self.found = there[0].value
            self.end()
        self._put = True

    def beat(self) -> None:
        """Live on. The lease may have ended while etcd was away; a pause that was lifted stays lifted.

        Somebody's own pause may end before the deployment does: then it is ours.
        """
        if self.found:
            self.found, self._put = "", False
        if self._put:
            try:
                self._kv.keepalive(self._lease, within=WITHIN)
            except NoSuchLease:
                self._lease, self._put = 0, False
        if not self._put:
            self.begin()

    def end(self) -> None:
        """Take the key away. When etcd cannot be asked, its lease does it."""
        lease, self._lease = self._lease, 0
        if lease:
            with contextlib.suppress(Unreachable):
                self._kv.revoke(lease, within=WITHIN)


@contextmanager
def resting(rest: Rest, say: Callable[[str], None]) -> Iterator[None]:
    """Inside the block hactl rests. Where etcd cannot be asked it cannot act either; it is tried again."""
    try:
        rest.begin()
        if rest.found:
            say(f"hactl is paused already: {rest.found}")
    except Unreachable as error:
        say(f"hactl could not be told to rest: {error.message}")
    stop = threading.Event()
    beats = threading.Thread(target=_keep, args=(rest, stop), name="rest", daemon=True)
    beats.start()
    try:
        yield
    finally:
        stop.set()
        beats.join(2 * WITHIN)
        rest.end()


def _keep(rest: Rest, stop: threading.Event) -> None:
    while not stop.wait(BEAT):
        with contextlib.suppress(Unreachable):
            rest.beat()
