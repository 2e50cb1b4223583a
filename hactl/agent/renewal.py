"""The lease's transaction, round by round: what etcd is asked, and what its answers say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from hactl.agent import ask
from hactl.agent.ports import Clocks
from hactl.errors import Unreachable
from hactl.ports import EtcdKv, NoSpace
from hactl.view.control import Mode
from hactl.view.keys import Keys
from hactl.view.kv import TxnReply

WITHIN = 0.9  # all endpoints together: a round must end before systemd's watchdog bites
FULL_FOR = 5.0  # s: an etcd without space is not asked to write in each round


@dataclass(frozen=True)
class Me:
    """`length`: the lease's, in seconds."""

    node: str
    boot: str
    keys: Keys
    length: float


class Renewal:
    def __init__(self, me: Me, kv: EtcdKv, clocks: Clocks, say: Callable[..., None]) -> None:
        self._me, self._kv, self._clocks, self._say = me, kv, clocks, say
        self._seq = 0
        self._leased = False  # whether etcd has this node's mode right
        self._full_until: float | None = None
        self._silent = ""

    def heard(self) -> ask.Heard | None:
        """None: etcd said nothing that counts."""
        self._seq += 1
        # Before the first try: whichever of two transactions is answered, it was sent later.
        sent = self._clocks.boottime()
        try:
            reply, mode_put = self._renew()
            found = ask.heard(reply, sent)
        except (Unreachable, ValueError) as error:
            if not self._silent:
                self._say("etcd is silent", why=str(error))
            self._silent = str(error)
            return None
        if self._silent:
            self._say("etcd answers again")
        self._silent = ""
        if mode_put:
            found = replace(found, mode=str(Mode.LEASED))
        self._leased = self._full_until is None and found.mode == str(Mode.LEASED)
        return found

    def _renew(self) -> tuple[TxnReply, bool]:
        """For all to see; where etcd takes no puts, quietly. And whether the mode was put as well."""
        end = self._clocks.monotonic() + WITHIN
        if self._full_until is None or self._clocks.monotonic() >= self._full_until:
            try:
                return self._aloud(), not self._leased
            except NoSpace as error:
                self._full(error)
        quiet = ask.quiet_transaction(self._me.keys, self._me.node)
        return self._send(quiet, end - self._clocks.monotonic()), False

    def _aloud(self) -> TxnReply:
        me = self._me
        alive = ask.alive_text(me.boot, self._seq)
        deal = ask.lease_transaction(me.keys, me.node, alive, say_leased=not self._leased)
        reply = self._send(deal, WITHIN)
        if self._full_until is not None:
            self._say("etcd takes writes again")
            self._full_until = None
        return reply

    def _full(self, error: NoSpace) -> None:
        if self._full_until is None:
            self._say("etcd is full: the lease is renewed without a trace", why=error.message)
        self._full_until = self._clocks.monotonic() + FULL_FOR
        self._leased = False

    def _send(self, deal: ask.Transaction, within: float) -> TxnReply:
        return self._kv.txn(deal.compares, deal.then, deal.otherwise, within=within, again=True)
