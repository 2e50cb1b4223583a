"""A standby that is gone holds up every commit until wal_sender_timeout (2 s): seen and ended sooner here.

Only the connection ends. Patroni sees in its next round that the standby does not stream, takes it out of
/sync in etcd first and out of synchronous_standby_names then, as ever; until that is done no commit is
acknowledged. So this risks none, whoever is wrong. A standby that lives connects anew within half a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from hactl.errors import HactlError
from hactl.view.control import PeerLook
from hactl.view.model import Unknown

EVERY = 0.1
# Both signs must be there: its server answered none of so many questions in a row (each 0.2 s), its host
# neither: where that refuses, PostgreSQL is stopped, and the connection is that of a pg_rewind, which may be
# silent for long and leaves ruins when it is ended, or of a pg_basebackup ...
MISSES = 5
# ... and nothing came from it for so long, in seconds. Each second it says where it is (render/patroni.py,
# wal_receiver_status_interval), and when the sender asks, at half of wal_sender_timeout.
QUIET = 1.2


class Links(Protocol):
    """The other node's connections to this node's PostgreSQL."""

    def quiet(self) -> float | None: ...

    def end(self) -> int: ...


class LostStandby:
    """`looks`: how the other nodes' servers answer. `leads`: whether this node holds the lease now."""

    def __init__(
        self,
        looks: Mapping[str, Callable[[], PeerLook | Unknown]],
        links: Mapping[str, Links],
        leads: Callable[[], bool],
        monotonic: Callable[[], float],
        say: Callable[..., None],
    ) -> None:
        self._looks, self._links, self._leads, self._now, self._say = looks, links, leads, monotonic, say
        self._done: set[str] = set()  # ended, or nothing to end; until it answers again
        self._due: dict[str, float] = {}

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stop,), name="standby", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY):
            self.once()

    def once(self) -> None:
        for node, look in self._looks.items():
            seen = look()
            if isinstance(seen, Unknown) or seen.misses < MISSES or seen.refused:
                self._done.discard(node)
            elif node not in self._done and self._now() >= self._due.get(node, 0.0) and self._leads():
                self._judge(node, seen.misses)

    def _judge(self, node: str, misses: int) -> None:
        links = self._links[node]
        try:
            quiet = links.quiet()
            if quiet is not None and quiet < QUIET:
                self._due[node] = self._now() + max(EVERY, QUIET - quiet)
                return
            self._done.add(node)
            if quiet is not None:
                ended = links.end()
                self._say("standby lost", node=node, misses=misses, quiet=round(quiet, 2), ended=ended)
        except HactlError as error:  # PostgreSQL's own time-out comes a second later
            self._done.add(node)
            self._say("connections of a lost standby not ended", node=node, why=error.message)
