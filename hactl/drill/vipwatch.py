"""Who carries the VIPs, and who answers clients that ask for them by ARP, looked at every 100 ms."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping

from hactl.drill.history import Answered, Event, Glance, History, Look
from hactl.errors import HactlError, Unreachable

# The addresses a node carries now; None when clients cannot reach it (off, or cut from the network).
Addresses = Callable[[str], Collection[str] | None]

# Asks for each VIP once: its name -> the hardware addresses of all that answered.
Arp = Callable[[], Mapping[str, tuple[str, ...]]]

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


class _Watch:
    """Looks until it is stopped.

    An error of a look ends the watch and comes out of `stop`: a watch that saw nothing proves nothing.
    """

    def __init__(self, looks: Callable[[], Event], history: History) -> None:
        self._looks, self._history = looks, history
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
                self._history.add(self._looks())
            except (HactlError, OSError) as error:
                self._error = error
                return
            self._stop.wait(max(0.0, seen + EVERY - time.monotonic()))


class VipWatch(_Watch):
    """Of what the nodes themselves have."""

    def __init__(
        self, nodes: Collection[str], vips: Mapping[str, str], addresses: Addresses, history: History
    ) -> None:
        super().__init__(lambda: look(nodes, vips, addresses), history)


class ArpWatch(_Watch):
    """Of what their neighbours are told."""

    def __init__(self, arp: Arp, history: History) -> None:
        super().__init__(lambda: _asked(arp), history)


def _asked(arp: Arp) -> Answered:
    begin = time.monotonic()
    macs = arp()
    return Answered(begin, time.monotonic(), macs)
