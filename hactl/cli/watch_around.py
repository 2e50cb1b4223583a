"""What `status --watch` shows beside the status: latencies of commits, and what hactl did last.

Each comes from a thread of its own, so a source that hangs delays no frame. Both only read: the active
controller commits through the virtual IP by itself, and tells how long that took.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from hactl.errors import HactlError, Unreachable

if TYPE_CHECKING:
    from hactl.cli.context import Context

EVERY: Final = 1.0
WITHIN: Final = 2.0
KEPT: Final = 240  # latencies; a wide screen
RECORDS: Final = 120  # of the journal; an act is two of them
EVENTS: Final = 40
_SECONDS: Final = re.compile(r"^hactl_heartbeat_seconds (\S+)$", re.MULTILINE)
_MISSES: Final = re.compile(r"^hactl_heartbeat_misses (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Around:
    """The others say why there is nothing.

    `latencies`: seconds per commit, the newest last; None: it failed, or nobody measured. `events`: rows as
    `hactl history` has them, the newest last.
    """

    latencies: tuple[float | None, ...] = ()
    no_latency: str = ""
    events: tuple[dict[str, Any], ...] = ()
    no_events: str = ""


def latency(metrics: str) -> float | None:
    """Of the last commit through the virtual IP, from the controller's metrics; None: it failed."""
    seconds, misses = _SECONDS.search(metrics), _MISSES.search(metrics)
    if seconds is None or (misses is not None and float(misses[1]) > 0):
        return None
    return float(seconds[1])


class Follower:
    """`ask_metrics(node)` and `ask_events()` are called in threads; both may raise HactlError."""

    def __init__(
        self, ask_metrics: Callable[[str], str], ask_events: Callable[[], list[dict[str, Any]]]
    ) -> None:
        self._ask_metrics, self._ask_events = ask_metrics, ask_events
        self._lock, self._stop = threading.Lock(), threading.Event()
        self._active: str | None = None
        self._looked = False
        self._latencies: deque[float | None] = deque(maxlen=KEPT)
        self._no_latency = self._no_events = "not asked yet"
        self._events: tuple[dict[str, Any], ...] = ()

    @contextmanager
    def following(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=self._repeat, args=(act,), daemon=True)
            for act in (self.measure, self.read)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()  # whoever is still asking ends with the process

    def active(self, node: str | None) -> None:
        """The controller to ask, as the last look at everything saw it."""
        with self._lock:
            self._active, self._looked = node, True

    def around(self) -> Around:
        with self._lock:
            return Around(tuple(self._latencies), self._no_latency, self._events, self._no_events)

    def measure(self) -> None:
        with self._lock:
            node, looked = self._active, self._looked
        if not looked:
            return
        try:
            if node is None:
                raise Unreachable("no controller is active, so nobody measures")
            found, why = latency(self._ask_metrics(node)), ""
        except HactlError as error:
            found, why = None, error.message
        with self._lock:
            self._latencies.append(found)
            self._no_latency = why

    def read(self) -> None:
        try:
            found, why = tuple(self._ask_events()[-EVENTS:]), ""
        except HactlError as error:
            found, why = None, error.message
        with self._lock:
            self._events = self._events if found is None else found
            self._no_events = why

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._stop.is_set():
            act()
            self._stop.wait(EVERY)


def follower(context: Context) -> Follower:
    from hactl import layout
    from hactl.adapters.http import HttpsClient
    from hactl.cli.history import events
    from hactl.view.history import incidents
    from hactl.view.journal import parse_lines, records
    from hactl.view.keys import Keys
    from hactl.view.kv import Get
    from hactl.wiring import etcd_kv

    spec, site = context.spec, context.site
    http, kv, keys = HttpsClient(site.ca, site.cert, site.key), etcd_kv(spec, site), Keys(spec.cluster)
    asked = (Get(keys.journal_prefix, prefix=True, limit=RECORDS, last=True), Get(keys.incident))

    def metrics(node: str) -> str:
        address = spec.nodes[node].address
        url = f"https://{address}:{layout.PORT_METRICS}/metrics"
        return http.send("GET", url, within=WITHIN).body.decode("utf-8", "replace")

    def read() -> list[dict[str, Any]]:
        found, incident = kv.ranges(asked, within=WITHIN).ranges
        lines = records(parse_lines([pair.value or "-" for pair in reversed(found)]))
        return events(lines, incidents(lines, incident[0].value if incident else None))

    return Follower(metrics, read)
