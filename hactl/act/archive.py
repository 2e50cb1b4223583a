"""Archive nodes: keep one out of the archive VIP, let it in again, write down what is decided of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Final

from hactl.act.hands import WITHIN, Done, Hands
from hactl.decide.plan import DrainArchive, UndrainArchive
from hactl.errors import Refused
from hactl.view.archive import ArchiveMark, Drain, DrainBy
from hactl.view.kv import Delete, Put, absent, revision_is
from hactl.view.parse.archive import drain_text, mark_text, parse_drain

MOST_TAKERS: Final = 8  # compared in one transaction, of which etcd takes 128 at most
MOST_MARKS: Final = 100


def drain(action: DrainArchive, hands: Hands) -> Done:
    """The node's agent does the rest, and says so in its facts.

    Raises:
        Refused: somebody paused, the node or one that shall take over is drained, or another controller is
            active.

    """
    keys, node = hands.keys, action.node
    lease = hands.hours.take()
    text = drain_text(Drain(node, DrainBy.LADDER, action.why, now_text(hands), within=action.within))
    alone = tuple(absent(keys.archive_drain(n)) for n in (node, *action.takers[:MOST_TAKERS]))
    puts = (
        Put(keys.archive_drain(node), text),
        Put(keys.budget(node, action.rung, hands.new_id()), "1", lease),
    )
    if not hands.kv.txn((hands.ours(), absent(keys.paused), *alone), puts, within=WITHIN).succeeded:
        raise Refused(f"not done: {node} or one of {', '.join(action.takers)} is drained, or somebody paused")
    return Done(f"{node} is to leave the archive VIP; {', '.join(action.takers)} can take it")


def undrain(action: UndrainArchive, hands: Hands) -> Done:
    """Raises Refused: it is another one's drain, somebody paused, or another controller is active."""
    keys, node = hands.keys, action.node
    found = hands.read(keys.archive_drain(node))
    if found is None:
        return Done(f"{node} is not drained")
    by = parse_drain(node, found.value).by
    if by is not DrainBy.LADDER:
        raise Refused(f"{node} was drained by {by}: who did it lets it in again")
    compares = (hands.ours(), absent(keys.paused), revision_is(found.key, found.mod_revision))
    if not hands.kv.txn(compares, (Delete(found.key),), within=WITHIN).succeeded:
        raise Refused(f"not done: the drain of {node} has just changed, or somebody paused")
    return Done(f"{node} may hold the archive VIP again")


def mark(marks: Mapping[str, ArchiveMark], hands: Hands) -> None:
    """So that the next controller goes on from here; at most MOST_MARKS nodes, all or none of them.

    Raises Refused, Unreachable: nothing is written.
    """
    puts = tuple(Put(hands.keys.archive_state(node), mark_text(found)) for node, found in marks.items())
    if not hands.kv.txn((hands.ours(),), puts, within=WITHIN, again=True).succeeded:
        raise Refused("another controller is active")


def now_text(hands: Hands) -> str:
    return dt.datetime.fromtimestamp(hands.clock.wall(), dt.UTC).isoformat(timespec="seconds")
