"""The steps between intent and release, and the node's return: fence, prime, release, readmit."""

from __future__ import annotations

from hactl.act import incident as incidents
from hactl.act.hands import WITHIN, Done, Hands
from hactl.decide.plan import PrimeStandby, Readmit, ReleaseLeader, RunFenceAgent
from hactl.errors import Refused, StepFailed
from hactl.view.control import Prime
from hactl.view.control_text import fence_text, prime_text
from hactl.view.kv import Compare, Delete, Get, Op, Put, absent, lease_is, revision_is, value_is
from hactl.view.parse.control import parse_fence, parse_prime


def run_fence_agent(action: RunFenceAgent, hands: Hands) -> Done:
    """Starts it; how it ends is seen in the view. Raises Refused: no intent, no agent, or too late."""
    _stands(hands, action.node, action.epoch)
    if hands.clock.monotonic() > action.not_after:
        raise Refused(f"too late to cut the power of {action.node}: it was decided too long ago")
    hands.fences.start(
        action.node, action.epoch, not_after=action.not_after, still=lambda: hands.claim() is not None
    )
    return Done(f"fence agent of {action.node} started")


def prime(action: PrimeStandby, hands: Hands) -> Done:
    """Raises Refused: the fence that it belongs to does not stand."""
    victim = hands.addresses.get(action.address)
    if victim is None:
        raise StepFailed(f"no node has the address {action.address}")
    text = prime_text(Prime(action.standby, action.epoch, action.address))
    guard = _stands(hands, victim, action.epoch)
    put = Put(hands.keys.prime(action.standby), text)
    if not hands.kv.txn((hands.ours(), guard), (put,), within=WITHIN, again=True).succeeded:
        raise Refused("not primed: fence or active controller changed meanwhile")
    return Done(f"{action.standby} refuses {action.address}")


def release(action: ReleaseLeader, hands: Hands) -> Done:
    """Raises Refused: not the leader key or fence of the proof, or somebody paused; nothing was done."""
    keys, intent = hands.keys, action.intent
    leader, proof = intent.leader, action.proof
    if (proof.node, proof.epoch) != (intent.node, intent.epoch) or leader.node != intent.node:
        raise Refused(
            f"the proof is of {proof.node}, epoch {proof.epoch}, not of {intent.node}, {intent.epoch}"
        )
    stamps = incidents.released(action, hands)
    compares = (
        hands.ours(),
        *stamps.compares,
        absent(keys.paused),
        value_is(keys.fence(intent.node), fence_text(intent)),
        value_is(keys.leader, leader.node),
        lease_is(keys.leader, leader.lease),
        revision_is(keys.leader, leader.mod_revision),
    )
    reads = (Get(keys.leader), Get(keys.fence(intent.node)))
    then: tuple[Op, ...] = (Delete(keys.leader), *stamps.puts)
    reply = hands.kv.txn(compares, then, reads, within=WITHIN, again=True)
    if reply.succeeded:
        said = f"leader key deleted at revision {reply.revision}, on {proof.kind}"
        return Done(said, record={"stamps": stamps.record})
    held, fence = reply.results
    if not held and fence and fence[0].value == fence_text(intent):
        return Done("the leader key was gone already")
    raise Refused(
        "leader key not deleted: it, fence, incident or active controller changed, or somebody paused"
    )


def readmit(action: Readmit, hands: Hands) -> Done:
    """Raises Refused: the fence is another epoch's."""
    keys = hands.keys
    if not action.node:
        return _let_go(action, hands)
    hands.fences.call_off(action.node)
    guard = _stands(hands, action.node, action.epoch)
    gone = [Delete(keys.fence(action.node)), Delete(keys.fenced(action.node))]
    if action.standby:
        gone += [Delete(keys.prime(action.standby)), Delete(keys.primed(action.standby))]
    if not hands.kv.txn((hands.ours(), guard), gone, within=WITHIN).succeeded:
        raise Refused("not readmitted: fence or active controller changed meanwhile")
    return Done(f"fence of {action.node} removed")


def _let_go(action: Readmit, hands: Hands) -> Done:
    """Only the refusal is left, of a node that nobody knows any more."""
    keys = hands.keys
    prime = hands.read(keys.prime(action.standby))
    if prime is None or parse_prime(action.standby, prime.value).epoch != action.epoch:
        raise Refused(f"{action.standby} refuses nothing for epoch {action.epoch}")
    guard = revision_is(keys.prime(action.standby), prime.mod_revision)
    gone = (Delete(keys.prime(action.standby)), Delete(keys.primed(action.standby)))
    if not hands.kv.txn((hands.ours(), guard), gone, within=WITHIN).succeeded:
        raise Refused("not ended: the refusal or the active controller changed meanwhile")
    return Done(f"{action.standby} refuses nobody any more")


def _stands(hands: Hands, node: str, epoch: int) -> Compare:
    """The comparison that the fence of this epoch stands unchanged. Raises Refused when it does not."""
    fence = hands.read(hands.keys.fence(node))
    if fence is None or parse_fence(node, fence.value).epoch != epoch:
        raise Refused(f"no fence intent of epoch {epoch} stands for {node}")
    return revision_is(hands.keys.fence(node), fence.mod_revision)
