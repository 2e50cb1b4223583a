"""One transaction a round: it renews the lease if etcd allows it, and brings what is asked of us. Pure.

Both branches read the same keys, so that an order is heard whether this node leads or not.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass

from hactl.agent.lease import Answer
from hactl.agent.obey import Act, Asked, Intent, Refusal
from hactl.view.control import Mode
from hactl.view.keys import Keys
from hactl.view.kv import Compare, Delete, Get, Op, Pair, Put, TxnReply, absent, value_is


@dataclass(frozen=True)
class Transaction:
    compares: tuple[Compare, ...]
    then: tuple[Op, ...]
    otherwise: tuple[Op, ...]


@dataclass(frozen=True)
class Heard:
    """`mode`: what etcd believes of this node; None: nothing. `leaving`: a switchover away is asked for."""

    answer: Answer
    asked: Asked
    mode: str | None
    leaving: bool = False


def lease_transaction(keys: Keys, me: str, alive: str, *, say_leased: bool) -> Transaction:
    """IF I lead and nobody wants me fenced THEN touch my alive key. `say_leased`: etcd's word is older."""
    reads = _reads(keys, me)
    mode = (Put(keys.mode(me), str(Mode.LEASED)),) if say_leased else ()
    return Transaction(
        compares=(value_is(keys.leader, me), absent(keys.fence(me))),
        then=(*reads, *mode, Put(keys.alive(me), alive)),
        otherwise=(*reads, *mode),
    )


def quiet_transaction(keys: Keys, me: str) -> Transaction:
    """The same for an etcd that is full: it takes no put, but it reads, and it deletes.

    Nobody sees such a renewal, so nobody may take the end of the last one seen for a proof. Without my mode
    key nobody does (decide/vetoes.py, lease_gap), and it goes in this very transaction, hence not after an
    intent: from an intent on, as ever, nothing is renewed.
    """
    reads = _reads(keys, me)
    return Transaction(
        compares=(value_is(keys.leader, me), absent(keys.fence(me))),
        then=(*reads, Delete(keys.mode(me))),
        otherwise=reads,
    )


def _reads(keys: Keys, me: str) -> tuple[Get, ...]:
    asked = (keys.leader, keys.fence(me), keys.prime(me), keys.order(me), keys.done(me))
    return tuple(Get(name) for name in (*asked, keys.mode(me), keys.switchover))


def order_reads(keys: Keys, me: str) -> tuple[Get, ...]:
    """All that is asked of a node without a database."""
    return (Get(keys.order(me)), Get(keys.done(me)))


def alive_text(boot: str, seq: int) -> str:
    return json.dumps({"boot": boot, "seq": seq}, separators=(",", ":"))


def heard(reply: TxnReply, sent: float) -> Heard:
    """Raises ValueError: not the answer to such a transaction."""
    if len(reply.results) < 7:
        raise ValueError("the transaction's answer has too few results")
    leader, fence, prime, order, done, mode, switchover = (_first(found) for found in reply.results[:7])
    intent = None if fence is None else Intent(_epoch(fence), fence.value)
    return Heard(
        Answer(sent, reply.succeeded, "" if leader is None else leader.value, fenced=intent is not None),
        Asked(intent, _refusal(prime), _act(order), _text(_fields(done), "id")),
        None if mode is None else mode.value,
        leaving=reply.succeeded and leader is not None and _away_from(leader.value, switchover),
    )


def _away_from(me: str, switchover: Pair | None) -> bool:
    """One for later stays in etcd until its time has come: it says nothing yet."""
    fields = _fields(switchover)
    return _text(fields, "leader") == me and not fields.get("scheduled_at")


def orders(ranges: tuple[tuple[Pair, ...], ...]) -> Asked:
    """Raises ValueError: not the answer to `order_reads`."""
    if len(ranges) != 2:
        raise ValueError("etcd answered with too few results")
    order, done = (_first(found) for found in ranges)
    return Asked(act=_act(order), done=_text(_fields(done), "id"))


def _first(found: tuple[Pair, ...]) -> Pair | None:
    return found[0] if found else None


def _fields(pair: Pair | None) -> Mapping[str, object]:
    """What cannot be read is an empty object: it orders nothing. A fence stands by being there."""
    if pair is None:
        return {}
    try:
        found = json.loads(pair.value)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _epoch(pair: Pair | None) -> int:
    value = _fields(pair).get("epoch")
    return value if isinstance(value, int) else 0


def _refusal(pair: Pair | None) -> Refusal | None:
    """Only another machine's address: what cannot be one, or is this node's loopback, orders nothing."""
    try:
        address = ipaddress.IPv4Address(_text(_fields(pair), "reject"))
    except ValueError:
        return None
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return None
    return Refusal(_epoch(pair), str(address))


def _act(pair: Pair | None) -> Act | None:
    fields = _fields(pair)
    id_, verb = _text(fields, "id"), _text(fields, "verb")
    return Act(id_, verb, _text(fields, "unit")) if id_ and verb else None
