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
from collections.abc import Iterator
from typing import Final

from hactl.act.maintenance import WITHIN, Hold, Operator, now_text
from hactl.errors import LockHeld, Unreachable
from hactl.ports import EtcdKv, NoSuchLease
from hactl.view.kv import Get, Put, absent
from hactl.view.operation import Holder
from hactl.view.parse.by_hand import holder_text, parse_holder

TTL: Final = 10  # s: that long a killed command stands in the way of the next
EVERY: Final = 2.5  # s between two signs of life; two may be lost


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
    kv = operator.kv
    with contextlib.ExitStack() as undo:
        lease = kv.grant(TTL, within=WITHIN)
        undo.callback(_give_back, kv, lease)
        hold = Hold(operator.keys.operation, holder_text(holder))
        _take(operator, hold, lease)
        undo.enter_context(_kept_alive(kv, lease))
        yield dataclasses.replace(operator, hold=hold)


def _take(operator: Operator, hold: Hold, lease: int) -> None:
    put, look = Put(hold.key, hold.text, lease), Get(hold.key)
    reply = operator.kv.txn((absent(hold.key),), (put,), (look,), within=WITHIN, again=True)
    if reply.succeeded:
        return
    there = reply.results[0][0].value  # ours, if the first try's answer was lost
    if there != hold.text:
        raise LockHeld(
            f"another operation is under way: {sentence(there, operator.clock.wall())}",
            hint="wait for it; if its process is dead, the lock ends by itself within 10 s",
        )


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


@contextlib.contextmanager
def _kept_alive(kv: EtcdKv, lease: int) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=_keep, args=(kv, lease, stop), name="operation", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(2 * WITHIN)


def _keep(kv: EtcdKv, lease: int, stop: threading.Event) -> None:
    """Without a majority etcd ends no lease, and a new leader gives each its whole time again."""
    pause = EVERY
    while not stop.wait(pause):
        try:
            kv.keepalive(lease, within=WITHIN)
            pause = EVERY
        except NoSuchLease:
            return  # the process stood still for too long: each act asks for the key, and finds it gone
        except Unreachable:
            pause = EVERY / 5


def _give_back(kv: EtcdKv, lease: int) -> None:
    with contextlib.suppress(Unreachable):  # it ends by itself
        kv.revoke(lease, within=WITHIN)
