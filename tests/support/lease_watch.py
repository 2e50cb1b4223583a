"""Evidence for the fencing lease: what a node's kernel allows, and whether the node still answers at the VIP.

Looked at from outside: a frozen or fenced machine is looked at all the same.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from hactl import layout
from hactl.adapters.command import run
from hactl.errors import HactlError
from hactl.lab import network
from hactl.lab.glance import addresses
from hactl.lab.lab import Lab
from hactl.lab.netns import entered
from hactl.lab.topology import LAN_BRIDGE

EVERY = 0.05
STUBBORN = "192.0.2.3"  # in the demo spec's network, and nobody's
FOREVER = 1e9
_EXPIRES = re.compile(r"expires ((?:\d+[a-z]+)+)")
_PART = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Sample:
    """`ends`: when the kernel will close, seen at `at`; None: it is closed."""

    at: float
    ends: float | None


@dataclass(frozen=True)
class _Leased:
    at: float
    ends: float


@dataclass(frozen=True)
class Try:
    """A connection to the VIP, sent to one machine's hardware address whatever ARP says."""

    begin: float
    ok: bool


def left(text: str, vip: str) -> float | None:
    """Seconds until the kernel closes, from `nft list set`; None: closed already."""
    if vip not in text:
        return None
    found = _EXPIRES.search(text)
    if not found:
        return FOREVER
    return sum(int(number) * _UNIT[unit] for number, unit in _PART.findall(found.group(1)))


@dataclass
class LeaseWatch:
    """Looks at one node until it is stopped."""

    lab: Lab
    node: str
    samples: list[Sample] = field(default_factory=list)
    addresses: list[tuple[float, bool]] = field(default_factory=list)  # when, and whether the VIP was there
    tries: list[Try] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @property
    def vip(self) -> str:
        return str(self.lab.spec.vips.database.address.ip)

    @contextmanager
    def watching(self) -> Iterator[None]:
        threads = [
            threading.Thread(target=t, daemon=True) for t in (self._look_on, self._address_on, self._try_on)
        ]
        with self._place():
            for thread in threads:
                thread.start()
            try:
                yield
            finally:
                self._stop.set()
                for thread in threads:
                    thread.join(5)

    @contextmanager
    def _place(self) -> Iterator[None]:
        """A client at the switch that knows the machine's hardware address for the VIP, and heeds no ARP."""
        cable = self.lab.machine(self.node).machine.cables[0]
        switch, mac = self.lab.topology.switch_netns, network.mac(cable.netns, cable.device)
        neighbour = ["neigh", "replace", self.vip, "lladdr", mac, "dev", LAN_BRIDGE, "nud", "permanent"]
        run(["ip", "-n", switch, "addr", "add", f"{STUBBORN}/{cable.prefix}", "dev", LAN_BRIDGE], within=5)
        try:
            run(["ip", "-n", switch, *neighbour], within=5)
            yield
            # Without it, the tries have reached whoever ARP names: no evidence of this node.
            known = run(["ip", "-n", switch, "neigh", "show", self.vip, "nud", "permanent"], within=5)
            if mac not in known.out:
                raise HactlError(f"the switch forgot that {self.vip} is {mac}: this watch proves nothing")
        finally:
            run(["ip", "-n", switch, "addr", "flush", "dev", LAN_BRIDGE], within=5)
            run(["ip", "-n", switch, "neigh", "flush", "dev", LAN_BRIDGE, "nud", "permanent"], within=5)

    def _look_on(self) -> None:
        self._repeat(lambda: self.samples.append(self._look()))

    def _address_on(self) -> None:
        """In a thread of its own: nothing that goes wrong here may cost a look at the lease."""
        self._repeat(lambda: self.addresses.append(self._address()))

    def _try_on(self) -> None:
        self._repeat(lambda: self.tries.append(self._try()))

    def _repeat(self, act: Callable[[], None]) -> None:
        while not self._stop.is_set():
            begin = time.monotonic()
            try:
                act()
            except (HactlError, OSError) as error:  # off: nothing to see
                self.failed.append(f"{begin:.2f} {error}")
            self._stop.wait(max(0.0, begin + EVERY - time.monotonic()))

    def _look(self) -> Sample:
        with entered(self.lab.machine(self.node).machine.netns):
            at = time.monotonic()
            shown = run(["nft", "list", "set", "inet", "hactl_lease", "lease"], within=5)
        remaining = left(shown.out, self.vip)
        return Sample(at, None if remaining is None else at + remaining)

    def _address(self) -> tuple[float, bool]:
        with entered(self.lab.machine(self.node).machine.netns):
            return time.monotonic(), self.vip in addresses()

    def _try(self) -> Try:
        begin = time.monotonic()
        with entered(self.lab.topology.switch_netns), socket.socket() as client:
            client.settimeout(0.3)
            ok = client.connect_ex((self.vip, layout.PORT_POSTGRES)) == 0
        return Try(begin, ok)

    def unleased(self, tolerance: float = 0.1) -> list[Try]:
        """Connections that were taken at a time when no lease that was seen covers it: there must be none.

        The kernel's time of a lease is exact; `tolerance` is for our look at it, which comes after the fact.
        """
        return [t for t in self.tries if t.ok and not self._covered(t.begin, tolerance)]

    def _covered(self, at: float, tolerance: float) -> bool:
        return any(s.ends and s.at - tolerance <= at <= s.ends + tolerance for s in self.samples)

    def account(self, tries: list[Try], hit: float, thaw: float) -> str:
        """When these were, in seconds after the fault, and what was seen of the lease about that time."""
        if not tries:
            return "none"
        first, last = tries[0].begin, tries[-1].begin
        seen = [s for s in self.samples if first - 1 <= s.at <= last + 1]
        looks = ", ".join(
            f"{s.at - hit:.2f}:{'shut' if s.ends is None else f'{min(s.ends - s.at, 99):.2f}'}" for s in seen
        )
        when = ", ".join(f"{t.begin - hit:.2f}" for t in tries)
        told = f"the fault ended at {thaw - hit:.2f}; lease seen: {looks}; failed looks: {self.failed}"
        return f"taken at {when}; {told}"

    def last_served(self, since: float, until: float = FOREVER) -> float | None:
        return max((t.begin for t in self.tries if t.ok and since <= t.begin <= until), default=None)

    def last_end(self, since: float, until: float = FOREVER) -> float | None:
        """The end of the last lease that was granted in that time, as the kernel had it."""
        return max((s.ends for s in self._leased(since, until) if s.ends < FOREVER), default=None)

    def opened(self, since: float, until: float = FOREVER) -> float | None:
        """When the node was first seen in mode open, after etcd had agreed."""
        return next((s.at for s in self._leased(since, until) if s.ends >= FOREVER), None)

    def _leased(self, since: float, until: float) -> Iterator[_Leased]:
        return (_Leased(s.at, s.ends) for s in self.samples if s.ends is not None and since <= s.at <= until)

    def address_gone(self, since: float) -> float | None:
        return next((at for at, here in self.addresses if at >= since and not here), None)
