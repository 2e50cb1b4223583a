"""A failover that a person ordered: fence who led, prove it silent, give the leader key to the target.

The same fence key, the same proofs and the same release as the controller's takeover and `node fence`, in
etcd transactions that exclude each other; so it is safe whether a controller is alive or not.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hactl.act import maintenance, node_fence, node_keys
from hactl.act.forced_incident import Story
from hactl.act.maintenance import WITHIN, Operator
from hactl.act.node_fence import Device
from hactl.decide import proof
from hactl.decide.memory import FailoverMemory, Renewal
from hactl.errors import HactlError, Refused, StepFailed, Unreachable
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, FenceIntent, Proof, ProofKind
from hactl.view.control_text import compact, fence_text
from hactl.view.incident import Phase
from hactl.view.kv import Compare, Delete, Op, Put, absent, revision_is, value_is

SAY_EVERY: Final = 5.0  # s
POLL: Final = 0.3
ME: Final = "this command"


@dataclass(frozen=True)
class Means:
    """`dcs`: a fresh look at all keys. `answers`: the victim's own Patroni says that it is the primary.

    `story`: the incident that the journal tells of it.
    """

    operator: Operator
    spec: ClusterSpec
    device: Device | None
    dcs: Callable[[], Dcs]
    answers: Callable[[], bool]
    say: Callable[[str], None]
    story: Story


@dataclass(frozen=True)
class Taken:
    """`proof`: a sentence; `kind`: by what. `took`: seconds from the fence until the target led."""

    proof: str
    kind: ProofKind
    took: float


def take_over(
    intent: FenceIntent, target: str, means: Means, *, named: bool, others: Sequence[str] = (), stands: bool
) -> Taken:
    """`named`: Patroni is told who shall be next, since it would not choose it. `stands`: the fence does.

    Raises:
        Refused: something has just changed; nothing was done.
        StepFailed: the fence stands; nothing proves the victim silent, or the target did not take over.

    """
    operator, story = means.operator, means.story
    began = operator.clock.monotonic()
    if not stands:
        node_keys.fence(operator, intent, others)
    since = operator.clock.monotonic()  # no renewal lies after this: the fence's transaction was before
    story.mark(Phase.INTENT, intent.node, f"epoch {intent.epoch}, by {intent.by}")
    means.say(f"the fence stands, epoch {intent.epoch}: {intent.node} renews no lease from now on")
    story.write()
    said, kind = _proved(intent, means, since)
    story.mark(Phase.PROOF, intent.node, f"{kind}: {said}")
    means.say(f"{intent.node} is silent: {said}")
    with _named(operator, intent, target, means, named=named):
        leads = lambda: _leader(operator) == target  # noqa: E731
        if not maintenance.wait_until(operator, leads, node_fence.TAKEN):
            raise StepFailed(
                f"{target} has not taken over within {node_fence.TAKEN:g} s",
                last_done=f"{intent.node} is fenced: {said}; the leader key is free",
                hint="hactl status; hactl doctor; the log of Patroni there says why",
            )
    story.mark(Phase.PROMOTED, target, f"{target} holds the leader key")
    return Taken(said, kind, operator.clock.monotonic() - began)


def _proved(intent: FenceIntent, means: Means, since: float) -> tuple[str, ProofKind]:
    """By its agent's word or its lease's end; after 20 s without either by its power."""
    clock, said_at = means.operator.clock, since
    until = clock.monotonic() + node_fence.OWN_WORD
    missing = ""
    while clock.monotonic() < until:
        with contextlib.suppress(Unreachable):
            found = _look(intent, means, since)
            if isinstance(found, tuple):
                return found
            missing = found
        if clock.monotonic() - said_at >= SAY_EVERY:
            said_at = clock.monotonic()
            means.say(f"no proof yet: {missing}")
        time.sleep(POLL)
    if means.device is None:
        raise StepFailed(
            f"nothing proves that {intent.node} is silent: {missing}; and no fence agent is in reach",
            last_done=f"the fence of {intent.node} stands; its agent obeys as soon as it can",
            hint=f"again, it goes on from here; or take it back: hactl node unfence {intent.node}",
        )
    means.say(f"nothing else proves {intent.node} silent: its power is cut")
    return node_fence.cut_power(intent, _fence_means(means), means.device), ProofKind.POWER_OFF


def _look(intent: FenceIntent, means: Means, since: float) -> tuple[str, ProofKind] | str:
    """A proof as the controller takes it, or why there is none yet."""
    now, dcs = means.operator.clock.monotonic(), means.dcs()
    if dcs.fences.get(intent.node) != intent:
        raise StepFailed(f"the fence of {intent.node} is not ours any more: somebody took it back",
                         hint="hactl journal tail")  # fmt: skip
    key = dcs.alive.get(intent.node)
    memory = FailoverMemory(renewals={intent.node: Renewal(key.mod_revision, since)} if key else {})
    question = proof.Question(
        means.spec, ControlView(ME, holding=False, dcs=dcs, dcs_at=now), dcs, intent, memory, now
    )
    if isinstance(word := proof.self_fenced(question), Proof):
        return word.evidence, word.kind
    lease = proof.lease_expired(question)
    if isinstance(lease, proof.Missing):
        return f"{word.why}; {lease.why}"
    if means.answers():  # as the controller's: a lease's end proves nothing of a node that shows life
        return f"{word.why}; its lease has ended, and yet its Patroni says that it is the primary"
    return lease.evidence, lease.kind


def _fence_means(means: Means) -> node_fence.Means:
    leads = lambda: _leader(means.operator)  # noqa: E731
    return node_fence.Means(means.operator, means.device, leads, lambda: False, means.say)


@contextlib.contextmanager
def _named(
    operator: Operator, intent: FenceIntent, target: str, means: Means, *, named: bool
) -> Iterator[None]:
    """Release the leader key, in one transaction with the order to Patroni, which does not outlive us."""
    text = compact({"member": target})
    released = _release(operator, intent, target, text if named else "")
    said = f"the leader key is free{f'; Patroni is told: {target}' if named else ''}"
    said = said if released else f"{target} holds the leader key already"
    means.story.mark(Phase.RELEASED, intent.node, said)
    means.say(said)
    means.story.write()
    try:
        yield
    except BaseException:
        if named:  # a promotion that nobody waits for any more must not come later
            with contextlib.suppress(HactlError):
                key = operator.keys.switchover
                operator.kv.txn((value_is(key, text),), (Delete(key),), within=WITHIN)
        raise


def _release(operator: Operator, intent: FenceIntent, target: str, order: str) -> bool:
    """False: the target leads already. Raises Refused: not the leadership or the fence that was there."""
    keys, kv = operator.keys, operator.kv
    held = kv.range(keys.leader, within=WITHIN).first
    if held is not None and held.value == target:
        return False
    now_free = held is None and intent.leader.mod_revision  # its time was up meanwhile
    leader = (absent(keys.leader),) if now_free else node_keys.leadership(keys, intent.leader)
    compares: list[Compare] = [value_is(keys.fence(intent.node), fence_text(intent)), *leader]
    then: list[Op] = [] if held is None else [Delete(keys.leader)]
    if order:
        before = kv.range(keys.switchover, within=WITHIN).first
        compares.append(
            absent(keys.switchover) if before is None else revision_is(keys.switchover, before.mod_revision)
        )
        then.append(Put(keys.switchover, order))
    if not then or kv.txn((*operator.ours(), *compares), tuple(then), within=WITHIN, again=True).succeeded:
        return True
    operator.still()
    if _leader(operator) == target:
        return False
    raise Refused("the leader key or the fence has just changed: nothing was released", hint="hactl status")


def _leader(operator: Operator) -> str | None:
    found = operator.kv.range(operator.keys.leader, within=WITHIN).first
    return found.value if found is not None else None
