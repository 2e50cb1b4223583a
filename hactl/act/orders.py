"""What is asked of others: a node's agent, its Patroni, etcd, another controller."""

from __future__ import annotations

from typing import Final

from hactl.act.hands import WITHIN, Done, Hands
from hactl.decide.plan import GiveOrder, MoveEtcdLeader, Reinitialize, YieldControl
from hactl.errors import Refused, StepFailed
from hactl.view.control import Order
from hactl.view.control_text import order_text
from hactl.view.kv import Compare, Delete, Op, Put, absent, revision_is

# An agent that was away must not do later what was right once: etcd takes an order back that nobody answered.
# The longest verb has 60 s; deciding waits a little longer than this (pacing.ORDER_ENDS).
ORDER_LIVES: Final = 75


def give(action: GiveOrder, hands: Hands) -> Done:
    """The agent answers in done/NODE. Raises Refused: this controller is no longer active."""
    id_ = hands.new_id()
    then = _asked(hands, Order(action.node, id_, action.verb, action.unit))
    _spend(hands, action.node, action.rung, id_, then)
    said = f"order {id_} to {action.node}: {action.verb} {action.unit}".rstrip()
    return Done(said, record={"order": id_})


def reinitialize(action: Reinitialize, hands: Hands) -> Done:
    """An order to the node's own agent: Patroni's password for this lies on database nodes only.

    Raises:
        Refused: the node leads, nobody leads, who leads has just changed, or it is fenced.

    """
    keys, node = hands.keys, action.node
    leader = hands.read(keys.leader)
    if leader is None or leader.value == node:
        raise Refused(
            f"{node} may be the last good copy: the leader is {leader.value if leader else 'nobody'}"
        )
    id_ = hands.new_id()
    then = _asked(hands, Order(node, id_, "reinit"))
    _spend(hands, node, "reinit", id_, then, revision_is(keys.leader, leader.mod_revision))
    return Done(f"order {id_} to {node}: reinit", record={"order": id_})


def move_etcd_leader(action: MoveEtcdLeader, hands: Hands) -> Done:
    members = {m.name: m.member_id for m in hands.kv.members(within=WITHIN)}
    if action.to not in members:
        raise StepFailed(f"etcd has no member {action.to}")
    hands.kv.move_leader(members[action.to], within=WITHIN)
    return Done(f"etcd is led by {action.to}")


def yield_control(action: YieldControl, hands: Hands) -> Done:
    hands.yield_control(action.why)
    return Done("the controller's lease is free")


def _asked(hands: Hands, order: Order) -> list[Op]:
    lease = hands.kv.grant(ORDER_LIVES, within=WITHIN)
    return [Put(hands.keys.order(order.node), order_text(order), lease), Delete(hands.keys.done(order.node))]


def _spend(hands: Hands, node: str, rung: str, id_: str, then: list[Op], *also: Compare) -> None:
    """Do `then`, and count one action of this rung for an hour, in one transaction.

    Raises:
        Refused: this controller is no longer active, the node is fenced, or somebody paused.

    """
    if rung:
        lease = hands.hours.take()
        then = [*then, Put(hands.keys.budget(node, rung, id_), "1", lease)]
    free = (absent(hands.keys.fence(node)), absent(hands.keys.paused))
    if then and not hands.kv.txn((hands.ours(), *free, *also), then, within=WITHIN).succeeded:
        raise Refused(
            f"not done: {node} is fenced, somebody paused, the leader changed or the active controller"
        )
