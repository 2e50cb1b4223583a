"""What a controller remembers between two decisions. All of it may be lost: etcd's state alone is enough.

It only makes waits shorter (when was a lease last seen renewed?) and preconditions answerable (did the
standby stream until the loss?). A controller that stands by keeps it warm by deciding too; it gets no steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hactl.decide import limits
from hactl.decide.plan import OpenIncident, Outcome
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, Key, Leader, Path, Proof
from hactl.view.model import Unknown


@dataclass(frozen=True)
class Renewal:
    """A node's alive key at this revision was first seen at `at`: its transaction lies before that."""

    revision: int
    at: float


@dataclass(frozen=True)
class GoodLook:
    """The last look that showed this standby streaming from this leader, and named in /sync."""

    leader: Leader
    standby: str
    at: float


@dataclass(frozen=True)
class Suspected:
    node: str
    since: float


@dataclass(frozen=True)
class Opening:
    """What was known of the victim when this controller asked for the intent."""

    epoch: int
    at: float
    alive: int | None
    failing: frozenset[Path]
    grey: bool = False


@dataclass(frozen=True)
class Course:
    """What this controller saw of the open incident. `gone`: when the victim's leadership was gone."""

    epoch: int
    since: float
    proof: Proof | None = None
    gone: float | None = None


@dataclass(frozen=True)
class FailoverMemory:
    """`held_since`: from then on this controller has been the active one, without a break."""

    revision: int = 0
    looked: float | None = None
    looking_since: float | None = None
    renewals: Mapping[str, Renewal] = field(default_factory=dict)
    good: GoodLook | None = None
    suspected: Suspected | None = None
    opening: Opening | None = None
    course: Course | None = None
    asked: Mapping[str, float] = field(default_factory=dict)
    withdrawals: tuple[float, ...] = ()
    held_since: float | None = None


def usable(view: ControlView, memory: FailoverMemory, now: float) -> Dcs | Unknown:
    """The look at etcd if it may decide anything now, else why not."""
    dcs = view.dcs
    if isinstance(dcs, Unknown):
        return dcs
    age = now - view.dcs_at
    if age < 0:  # then a renewal in it could count as seen before it was made
        return Unknown("the look at etcd is newer than the moment of deciding")
    if age > limits.LOOK_AGE:
        return Unknown(f"the last look at etcd is {age:.1f} s old")
    if dcs.revision < memory.revision:
        return Unknown(f"this look is of revision {dcs.revision}, {memory.revision} was seen before")
    return dcs


def observe(spec: ClusterSpec, view: ControlView, memory: FailoverMemory, now: float) -> FailoverMemory:
    """The memory after this look. An unusable look teaches nothing."""
    dcs = usable(view, memory, now)
    if isinstance(dcs, Unknown):
        return memory
    gap = memory.looked is None or view.dcs_at - memory.looked > limits.LOOK_AGE
    return replace(
        memory,
        revision=dcs.revision,
        looked=view.dcs_at,
        looking_since=now if gap else memory.looking_since,
        renewals={n: _renewal(memory.renewals.get(n), k, now) for n, k in dcs.alive.items()},
        good=_good(spec, dcs, now) or memory.good,
    )


def _renewal(before: Renewal | None, key: Key, now: float) -> Renewal:
    # `now`, not when the look was asked for: a renewal may commit between question and answer.
    return before if before and before.revision == key.mod_revision else Renewal(key.mod_revision, now)


def _good(spec: ClusterSpec, dcs: Dcs, now: float) -> GoodLook | None:
    leader, patroni = dcs.patroni.leader, dcs.patroni
    if leader is None or patroni.sync_leader != leader.node:
        return None
    named = [n for n in patroni.sync_standbys if n in spec.databases and n != leader.node]
    found = next((n for n in named if streams(dcs, n)), None)
    return None if found is None else GoodLook(leader, found, now)


def streams(dcs: Dcs, node: str) -> bool:
    """Patroni's word for its own instance, or the agent's: each is at most a second old while it lives."""
    member, facts = dcs.patroni.members.get(node), dcs.facts.get(node)
    if member is not None and member.replication_state == "streaming":
        return True
    return (
        facts is not None and not isinstance(facts.postgres, Unknown) and bool(facts.postgres.streaming_from)
    )


def noted(memory: FailoverMemory, outcomes: tuple[Outcome, ...]) -> FailoverMemory:
    """What the steps themselves learned: the intent's own transaction reads the last renewal there can be."""
    for outcome in outcomes:
        action = outcome.action
        if not isinstance(action, OpenIncident):
            continue
        epoch, node = action.intent.epoch, action.intent.node
        if not outcome.done:
            asked = {k: at for k, at in memory.asked.items() if k not in {f"fence:{epoch}", f"prime:{epoch}"}}
            memory = replace(memory, asked=asked)
        elif outcome.alive is not None:
            renewal = _renewal(memory.renewals.get(node), outcome.alive, outcome.at)
            memory = replace(memory, renewals={**memory.renewals, node: renewal})
    return memory
