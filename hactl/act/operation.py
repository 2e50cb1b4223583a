"""One operation at a time: a key in etcd under a lease that lives as long as the command that took it.

The controller does not ask for it: it holds people's commands apart, and keeps nobody from a failover.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import secrets
import threading
import time
from collections.abc import Iterator
from typing import Final

from hactl.act.maintenance import WITHIN, Hold, Operator, now_text
from hactl.errors import LockHeld, Unreachable
from hactl.ports import NoSuchLease
from hactl.view.kv import Compare, Get, Put, absent, value_is
from hactl.view.operation import Holder
from hactl.view.parse.by_hand import holder_text, parse_holder

TTL: Final = 10  # s: that long a killed command stands in the way of the next
EVERY: Final = 2.5  # s between two signs of life; two may be lost


def boottime() -> float:
    """Seconds, also those in which a laptop was suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def held(operator: Operator, what: str, reason: str = "") -> Iterator[Operator]:
    """The cluster's operation lock, until the block ends, however it ends; the operator that has it.

    `what` is read by whoever comes second: "switchover from db1 to db2".

    Raises:
        LockHeld: another command has it; says who, what and since when.
        Unreachable: etcd does not answer: it is not taken.

    """
    since = now_text(operator.clock.wall())
    holder = Holder(
        operator.actor, operator.machine, os.getpid(), what, since, reason, secrets.token_hex(8)
    )  # fmt: skip
    hold = Hold(operator.keys.operation, holder_text(holder))
    lock = _Lock(operator, hold)
    with contextlib.ExitStack() as undo:
        undo.callback(lock.give_back)
        lock.take()
        undo.enter_context(_kept_alive(lock))
        yield dataclasses.replace(operator, hold=hold)


def sentence(value: str, now: float) -> str:
    """Who holds the lock, for a person. `now`: wall clock; another machine's `since` may lie ahead of it."""
    try:
        holder = parse_holder(value)
    except ValueError as error:
        return f"its value cannot be read ({error})"
    why = f", reason: {holder.reason}" if holder.reason else ""
    return (
        f"{holder.what}, by {holder.who} on {holder.machine} (pid {holder.pid})"
        f"{_since(holder.since, now)}{why}"
    )


def _since(text: str, now: float) -> str:
    try:
        begun = dt.datetime.fromisoformat(text)
        ago = max(0.0, now - begun.timestamp())
    except (ValueError, OverflowError):
        return ""
    return f", since {begun:%H:%M:%S} UTC ({ago:.0f} s ago)"


class _Lock:
    """The key under its lease."""

    def __init__(self, operator: Operator, hold: Hold) -> None:
        self._kv, self._clock, self._hold = operator.kv, operator.clock, hold
        self._last = operator.keys.last_operation
        self._lease = 0
        self._taken = False
        self._alive = boottime()  # when what etcd granted last was asked for: its time runs from later on

    def take(self, *compares: Compare) -> None:
        """Raises LockHeld, Unreachable."""
        hold, sent = self._hold, boottime()
        self._lease = self._kv.grant(TTL, within=WITHIN)
        puts = (Put(hold.key, hold.text, self._lease), Put(self._last, hold.text))
        looks = (Get(hold.key),)
        reply = self._kv.txn((absent(hold.key), *compares), puts, looks, within=WITHIN, again=True)
        if not reply.succeeded:
            there = reply.results[0]
            if not there or there[0].value != hold.text:
                raise self._refused(there[0].value if there else "")
            self._lease = there[0].lease  # an earlier try of ours, whose answer was lost
        self._taken, self._alive = True, sent

    def _refused(self, there: str) -> LockHeld:
        said = sentence(there, self._clock.wall()) if there else "somebody else had the lock since"
        hint = "wait for it; if its process is dead, the lock ends by itself within 10 s"
        return LockHeld(f"another operation is under way: {said}", hint=hint)

    def live_on(self) -> None:
        """Raises LockHeld: it is lost. Unreachable.

        etcd ends leases before their time when its leader's disk stalls (etcd#15247). Then it is taken again,
        if nobody else had it since; one whose time was over is lost.
        """
        sent = boottime()
        if self._taken:
            with contextlib.suppress(NoSuchLease):
                self._kv.keepalive(self._lease, within=WITHIN)
                self._alive = sent
                return
        if boottime() - self._alive >= TTL:
            raise LockHeld("its lease ended: this process, or etcd, stood still for too long")
        self._taken = False
        self.take(value_is(self._last, self._hold.text))

    def give_back(self) -> None:
        with contextlib.suppress(Unreachable):  # it ends by itself
            if self._lease:
                self._kv.revoke(self._lease, within=WITHIN)


@contextlib.contextmanager
def _kept_alive(lock: _Lock) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=_keep, args=(lock, stop), name="operation", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(4 * WITHIN)  # a sign of life, and what it takes to have it again


def _keep(lock: _Lock, stop: threading.Event) -> None:
    """Without a majority etcd ends no lease, and a new leader gives each its whole time again."""
    pause = EVERY
    while not stop.wait(pause):
        try:
            lock.live_on()
            pause = EVERY
        except LockHeld:
            return  # each act asks for the key, and finds it gone
        except Unreachable:
            pause = EVERY / 5
