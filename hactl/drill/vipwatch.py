"""Who carries the VIPs, looked at every 100 ms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from hactl.drill.history import Glance, History, Look
from hactl.errors import HactlError, Unreachable

# The addresses a node carries now; None when clients cannot reach it (off, or cut from the network).
Addresses = Callable[[str], Collection[str] | None]

EVERY = 0.1  # seconds: a VIP on two nodes for less than twice this is not seen


def look(nodes: Collection[str], vips: Mapping[str, str], addresses: Addresses) -> Look:
    """One look at all nodes. `vips`: name -> address without prefix length."""
    at = time.monotonic()
    seen = {}
    for node in nodes:
        begin = time.monotonic()
        found = addresses(node)
        held = None if found is None else tuple(sorted(name for name, vip in vips.items() if vip in found))
        seen[node] = Glance(begin, time.monotonic(), held)
    return Look(at, seen)


class VipWatch:
    """Looks until it is stopped.

    An error of `addresses` ends the watch and comes out of `stop`: a watch that saw nothing proves nothing.
    """

    def __init__(
        self, nodes: Collection[str], vips: Mapping[str, str], addresses: Addresses, history: History
    ) -> None:
        self._nodes = nodes
        self._vips = vips
        self._addresses = addresses
        self._history = history
        self._stop = threading.Event()
        self._error: HactlError | OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10)
        if self._thread.is_alive():
            raise Unreachable("the watch of the VIPs did not end in time")
        if self._error:
            raise self._error

    def _run(self) -> None:
        while not self._stop.is_set():
            seen = time.monotonic()
            try:
                self._history.add(look(self._nodes, self._vips, self._addresses))
            except (HactlError, OSError) as error:
                self._error = error
                return
            self._stop.wait(max(0.0, seen + EVERY - time.monotonic()))
