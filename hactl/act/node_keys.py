"""Keys that keep hactl's hands off a node, or the node from serving: set and taken back by a person."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hactl.act.maintenance import WITHIN, Operator
from hactl.errors import Refused
from hactl.view.archive import Drain
from hactl.view.control import FenceIntent, Leader, Maintenance
from hactl.view.control_text import fence_text
from hactl.view.keys import Keys
from hactl.view.kv import (
    Compare,
    Delete,
    Op,
    Pair,
    Put,
    absent,
    lease_is,
    revision_is,
    value_is,
)
from hactl.view.parse.archive import drain_text
from hactl.view.parse.control import parse_fence
from hactl.view.parse.maintenance import maintenance_text

MOST: Final = 60  # other nodes that one transaction compares; etcd takes 128 operations at most


def begin(
    operator: Operator, wanted: Maintenance, seconds: int, others: Sequence[str], drain: Drain | None = None
) -> None:
    """Put the key under a lease of its own, with an archive node's drain: both end together.

    One that stands is taken over, with its time. `others`: nodes that nobody may be working on.

    Raises:
        Refused: somebody works on another node, or the keys have just changed.
        Unreachable: etcd does not answer.

    """
    keys, kv, node = operator.keys, operator.kv, wanted.node
    lease = kv.grant(seconds, within=WITHIN)
    there = kv.range(keys.maintenance(node), within=WITHIN).first
    drained = kv.range(keys.archive_drain(node), within=WITHIN).first
    compares: list[Compare] = [_as_it_is(keys.maintenance(node), there)]
    compares += [absent(keys.maintenance(other)) for other in others[:MOST]]
    puts: list[Op] = [Put(keys.maintenance(node), maintenance_text(wanted), lease)]
    ours = drained is None or (there is not None and drained.lease == there.lease)
    if drain is not None and ours:  # a drain that somebody else has set stays as it is
        compares.append(_as_it_is(keys.archive_drain(node), drained))
        puts.append(Put(keys.archive_drain(node), drain_text(drain), lease))
    if not kv.txn((*operator.ours(), *compares), puts, within=WITHIN).succeeded:
        kv.revoke(lease, within=WITHIN)
        operator.still()
        raise Refused(
            f"somebody else works on a node, or the keys of {node} have just changed", hint="hactl status"
        )
    if there is not None and there.lease:
        kv.revoke(there.lease, within=WITHIN)  # nothing hangs on it any more


def end(operator: Operator, node: str) -> bool:
    """Whether there was one. The lease goes, with the drain. Raises Refused (just changed), Unreachable."""
    keys, kv = operator.keys, operator.kv
    found = kv.range(keys.maintenance(node), within=WITHIN).first
    if found is None:
        return False
    drain = kv.range(keys.archive_drain(node), within=WITHIN).first
    gone = [Delete(keys.maintenance(node))]
    compares = [revision_is(found.key, found.mod_revision)]
    if drain is not None and found.lease and drain.lease == found.lease:
        gone.append(Delete(drain.key))
        compares.append(revision_is(drain.key, drain.mod_revision))
    if not kv.txn((*operator.ours(), *compares), gone, within=WITHIN).succeeded:
        operator.still()
        raise Refused(f"what is said of {node} has just changed", hint="hactl status")
    if found.lease:
        kv.revoke(found.lease, within=WITHIN)
    return True


def fence(operator: Operator, intent: FenceIntent, others: Sequence[str]) -> None:
    """One transaction, as the controller's. `others`: database nodes of which none may be fenced.

    A leader without a revision: nobody holds the leader key, and nobody may by then.

    Raises:
        Refused: who leads, the epoch or a fence has just changed, or an incident is open; nothing was done.
        Unreachable: etcd does not answer.

    """
    keys, leader = operator.keys, intent.leader
    text = fence_text(intent)
    compares = (
        *leadership(keys, leader),
        absent(keys.incident),
        absent(keys.fence(intent.node)),
        *(absent(keys.fence(other)) for other in others),
        _epoch_before(keys, intent.epoch),
    )
    puts = (
        Put(keys.fence(intent.node), text),
        Put(keys.epoch, str(intent.epoch)),
        Delete(keys.fenced(intent.node)),
    )
    reply = operator.kv.txn((*operator.ours(), *compares), puts, within=WITHIN, again=True)
    if not reply.succeeded and not _stands(operator, intent):  # else: the first try's answer was lost
        operator.still()
        raise Refused("who leads, a fence or an incident has just changed", hint="hactl status; try again")


def leadership(keys: Keys, leader: Leader) -> tuple[Compare, ...]:
    """That it is still this leadership; without a revision: that nobody leads."""
    if not leader.mod_revision:
        return (absent(keys.leader),)
    return (
        value_is(keys.leader, leader.node),
        lease_is(keys.leader, leader.lease),
        revision_is(keys.leader, leader.mod_revision),
    )


def release(operator: Operator, intent: FenceIntent) -> bool:
    """Let the standby take over at once from a primary that is proved silent. False: it is gone already.

    Raises Refused: it is not the leadership or the fence that was there before; nothing was done.
    """
    keys, leader = operator.keys, intent.leader
    compares = (value_is(keys.fence(intent.node), fence_text(intent)), *leadership(keys, leader))
    if operator.kv.txn(
        (*operator.ours(), *compares), (Delete(keys.leader),), within=WITHIN, again=True
    ).succeeded:
        return True
    found = operator.kv.range(keys.leader, within=WITHIN).first
    if found is None or found.value != leader.node:
        return False
    raise Refused("the leader key or the fence has just changed: nothing was released", hint="hactl status")


def unfence(operator: Operator, node: str, epoch: int) -> None:
    """Raises Refused: the fence is another one's by now."""
    keys = operator.keys
    found = operator.kv.range(keys.fence(node), within=WITHIN).first
    if found is None:
        return
    if parse_fence(node, found.value).epoch != epoch:
        raise Refused(f"the fence of {node} is another one by now", hint="hactl status")
    gone = (Delete(keys.fence(node)), Delete(keys.fenced(node)))
    compares = (revision_is(found.key, found.mod_revision),)
    if not operator.kv.txn((*operator.ours(), *compares), gone, within=WITHIN).succeeded:
        operator.still()
        raise Refused(f"the fence of {node} has just changed", hint="hactl status")


def _stands(operator: Operator, intent: FenceIntent) -> bool:
    found = operator.kv.range(operator.keys.fence(intent.node), within=WITHIN).first
    return found is not None and found.value == fence_text(intent)


def _epoch_before(keys: Keys, epoch: int) -> Compare:
    """As the controller's intents count: the first one finds no key."""
    return absent(keys.epoch) if epoch == 1 else value_is(keys.epoch, str(epoch - 1))


def _as_it_is(key: str, found: Pair | None) -> Compare:
    return absent(key) if found is None else revision_is(key, found.mod_revision)
