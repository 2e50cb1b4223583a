"""A scheduled switchover: handed to Patroni by the key that its own REST interface writes, or dropped."""

from __future__ import annotations

from hactl.act.hands import WITHIN, Done, Hands
from hactl.decide.plan import DropScheduled, SwitchOver
from hactl.errors import Refused
from hactl.view.control_text import compact
from hactl.view.kv import Delete, Put, absent, revision_is, value_is
from hactl.view.parse.by_hand import scheduled_text


def switch_over(action: SwitchOver, hands: Hands) -> Done:
    """Once: the order goes in the same transaction. Patroni on the primary checks the standby, then obeys.

    Raises Refused: something changed since it was decided; it is dropped, and nobody tries again.
    """
    keys, order = hands.keys, action.order
    # Patroni never removes its key: `{}` stands there once one was done.
    before = hands.read(keys.switchover)
    free = absent(keys.switchover) if before is None else revision_is(keys.switchover, before.mod_revision)
    compares = (
        hands.ours(),
        value_is(keys.scheduled, scheduled_text(order)),
        value_is(keys.leader, action.primary),
        *(absent(key) for key in (keys.paused, keys.incident, keys.operation)),
        free,
        *(absent(keys.fence(node)) for node in (action.primary, action.target)),
    )
    asked = Put(keys.switchover, compact({"leader": action.primary, "member": action.target}))
    # Who had the operation lock before, and lost it, does not take it again as if nothing had happened.
    had = Put(keys.last_operation, scheduled_text(order))
    busy = before is not None and before.value not in {"", "{}"}
    if busy or not hands.kv.txn(compares, (asked, had, Delete(keys.scheduled)), within=WITHIN).succeeded:
        drop(DropScheduled(order, ()), hands)
        raise Refused("not asked for, and dropped: leader, pause, operation, or Patroni's own order changed")
    return Done(f"Patroni on {action.primary} is asked to hand over to {action.target}")


def drop(action: DropScheduled, hands: Hands) -> Done:
    """Raises Refused: somebody cancelled or changed it, or this controller is not the active one."""
    keys = hands.keys
    same = (hands.ours(), value_is(keys.scheduled, scheduled_text(action.order)))
    if not hands.kv.txn(same, (Delete(keys.scheduled),), within=WITHIN).succeeded:
        raise Refused("the order has changed, or another controller is active")
    return Done("refused: " + "; ".join(action.why))
