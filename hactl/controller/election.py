"""Which controller is the active one: a key under an etcd lease, and what may be believed about it when."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

from hactl.errors import Refused, Unreachable
from hactl.ports import Clock, EtcdKv, NoSuchLease
from hactl.view.control_text import standby_text
from hactl.view.keys import Keys
from hactl.view.kv import Delete, Get, Put, absent, value_is
from hactl.view.parse.fields import document, mapping

TTL: Final = 3
MARGIN: Final = 0.5  # nothing is begun that late before the lease may end
EVERY: Final = 0.6
LOOK: Final = 0.25
PATIENCE: Final = 1.5  # a candidate beside the primary dies with it: another one may go first
BARRED: Final = 4.0  # after giving control away
WITHIN: Final = 1.0


@dataclass(frozen=True)
class Candidate:
    """`value` is the key's text while this process is active: no other process ever has the same."""

    node: str
    value: str


class Election:
    """One thread calls `step`; all others ask `claim`. One etcd lease carries whichever key is ours."""

    def __init__(self, kv: EtcdKv, keys: Keys, me: Candidate, clock: Clock) -> None:
        self._kv, self._keys, self._me, self._clock = kv, keys, me, clock
        self._lock = threading.Lock()
        self._lease = 0
        self._sent = 0.0  # when the last keepalive was sent
        self._ends = 0.0  # until when the lease surely lives
        self._active = False
        self._listed = False  # standby/NODE is ours
        self._free_since: float | None = None
        self._barred_until = 0.0

    def claim(self) -> str | None:
        """The controller key's value, as long as it is surely ours: by the monotonic clock, not by belief."""
        with self._lock:
            sure = self._active and self._clock.monotonic() < self._ends - MARGIN
            return self._me.value if sure else None

    def step(self) -> float:
        """Keep what is ours, or try to get it; the seconds until the next step. Never raises."""
        try:
            self._keep()
            if self._active:
                self._look_after()
            else:
                self._stand()
        except NoSuchLease:
            self._lost()
        except Unreachable:
            pass  # the lease's end is known, and nobody believes beyond it
        return EVERY / 2 if self._active else LOOK

    def yield_control(self, why: str) -> None:
        """Let another one have it. Raises Refused: it is not ours. `why` is in the journal."""
        del why
        keys, me = self._keys, self._me
        then = (Delete(keys.controller), Put(keys.standby(me.node), standby_text(me.node), self._lease))
        with self._lock:
            self._barred_until = self._clock.monotonic() + BARRED
            self._active = False
        if not self._kv.txn((value_is(keys.controller, me.value),), then, within=WITHIN).succeeded:
            raise Refused("this controller is not the active one")
        self._listed = True

    def use(self, kv: EtcdKv) -> None:
        """Other endpoints, after the spec was read again. The lease and its key stay."""
        self._kv = kv

    def leave(self) -> None:
        """Give everything back at once. Raises Unreachable: it ends by itself then, within the lease."""
        with self._lock:
            lease, self._lease, self._active = self._lease, 0, False
        if lease:
            self._kv.revoke(lease, within=WITHIN)

    def _keep(self) -> None:
        sent = self._clock.monotonic()
        if not self._lease:
            lease = self._kv.grant(TTL, within=WITHIN)
            self._confirmed(lease, sent, TTL)
        elif sent - self._sent >= EVERY:
            self._sent = sent
            self._confirmed(self._lease, sent, self._kv.keepalive(self._lease, within=WITHIN))

    def _confirmed(self, lease: int, sent: float, ttl: int) -> None:
        with self._lock:
            self._lease, self._sent = lease, sent
            self._ends = sent + min(ttl, TTL)

    def _lost(self) -> None:
        with self._lock:
            self._lease, self._active, self._listed = 0, False, False

    def _look_after(self) -> None:
        found = self._kv.range(self._keys.controller, within=WITHIN).first
        if found is None or found.value != self._me.value:
            with self._lock:
                self._active, self._listed = False, False

    def _stand(self) -> None:
        keys, me = self._keys, self._me
        if not self._listed:
            self._kv.txn((), (Put(keys.standby(me.node), standby_text(me.node), self._lease),), within=WITHIN,
                         again=True)  # fmt: skip
            self._listed = True
        asked = (Get(keys.controller), Get(keys.leader), Get(keys.own + "standby/", prefix=True))
        holder, leader, standing = self._kv.ranges(asked, within=WITHIN).ranges
        if holder and not self._left_over(holder[0].value):
            self._free_since = None
            return
        now = self._clock.monotonic()
        self._free_since = now if self._free_since is None else self._free_since
        beside = bool(leader) and leader[0].value == me.node
        others = any(pair.key != keys.standby(me.node) for pair in standing)
        wait = PATIENCE if beside and others else 0.0
        if now >= self._free_since + wait and now >= self._barred_until:
            self._run_for_it(holder[0].value if holder else None)

    def _left_over(self, value: str) -> bool:
        """It names this node, not this process: that one is dead, for a lock file lets one live on a node."""
        try:
            found = mapping(document(value.encode(), "controller"), "controller")
        except ValueError:
            return False
        return found.get("node") == self._me.node

    def _run_for_it(self, left_over: str | None) -> None:
        keys, me = self._keys, self._me
        free = absent(keys.controller) if left_over is None else value_is(keys.controller, left_over)
        then = (Put(keys.controller, me.value, self._lease), Delete(keys.standby(me.node)))
        reply = self._kv.txn((free,), then, (Get(keys.controller),), within=WITHIN, again=True)
        # The else branch may say that the first try, whose answer was lost, had won.
        ours = reply.succeeded or any(p.value == me.value for p in reply.results[0])
        with self._lock:
            self._active = ours
        self._listed, self._free_since = not ours, None
