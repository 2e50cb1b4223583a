"""Opening, marking, withdrawing, closing an incident: each one transaction, nobody else's in between."""

from __future__ import annotations

import dataclasses
import datetime as dt
from dataclasses import dataclass

from hactl.act.hands import WITHIN, Done, Hands
from hactl.decide.plan import CloseIncident, Mark, OpenIncident, ReleaseLeader, Withdraw
from hactl.errors import Refused, StepFailed
from hactl.view.control import Key, Mode
from hactl.view.control_text import fence_text, incident_object, incident_text, parse_incident, stamp_object
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.kv import (
    Compare,
    Delete,
    Get,
    Op,
    Pair,
    Put,
    absent,
    lease_is,
    revision_is,
    value_is,
)
from hactl.view.parse.control import parse_fence


def open_incident(action: OpenIncident, hands: Hands) -> Done:
    """Raises Refused: leader, epoch or controller changed, a fence or incident stands; nothing was done."""
    keys, intent = hands.keys, action.intent
    leader, node = intent.leader, intent.node
    begun = _stamp(hands, Phase.INTENT, node, hands.clock.monotonic(), f"epoch {intent.epoch}, by {hands.me}")
    incident = _with(_with_walls(action.incident, hands), begun)
    text = fence_text(intent)
    compares = (
        hands.ours(),
        value_is(keys.leader, leader.node),
        lease_is(keys.leader, leader.lease),
        revision_is(keys.leader, leader.mod_revision),
        _epoch_before(keys.epoch, intent.epoch),
        absent(keys.fence(node)),
        absent(keys.incident),
        absent(keys.paused),
    )
    reads = (Get(keys.alive(node)), Get(keys.mode(node)))
    counted = hands.hours.take()
    then: tuple[Op, ...] = (
        Put(keys.fence(node), text),
        Put(keys.incident, incident_text(incident)),
        Put(keys.epoch, str(intent.epoch)),
        Put(keys.recent_failover(intent.epoch), node, counted),
        *reads,
    )
    seen = (Get(keys.fence(node)), Get(keys.leader), Get(keys.incident), Get(keys.epoch))
    reply = hands.kv.txn(compares, then, (*reads, *seen), within=WITHIN, again=True)
    alive, mode = reply.results[-2:] if reply.succeeded else reply.results[:2]
    if not reply.succeeded:
        fence, lead, open_, epoch = reply.results[2:]
        if not (fence and fence[0].value == text):  # else: done by the first try, whose answer was lost
            hands.kv.revoke(counted, within=WITHIN)
            raise Refused(f"not opened: {_changed(fence, lead, open_, epoch)}")
    return Done(
        f"fence intent, epoch {intent.epoch}, at revision {reply.revision}",
        alive=_key(alive),
        mode=_mode(mode),
    )


def mark(action: Mark, hands: Hands) -> Done:
    """Raises Refused: another incident is open, or none."""
    incident, pair = open_one(action.incident, hands)
    if incident.reached(action.phase):
        return Done(f"{action.phase} was marked before")
    at = action.at or hands.clock.monotonic()
    stamp = _stamp(hands, action.phase, action.node, at, action.evidence)
    hands.journal.event(
        "mark",
        incident=incident.id,
        epoch=incident.epoch,
        data={"phase": str(stamp.phase), "node": stamp.node, "mono_ms": stamp.mono_ms, "wall": stamp.wall,
              "evidence": stamp.evidence, "by": hands.me},
    )  # fmt: skip
    if action.phase is Phase.FIRST_COMMIT:  # a victim that boots now must not be cut by what still runs
        hands.fences.call_off(incident.victim)
    marked = _with(incident, stamp)
    if action.switched_off:
        marked = _switched_off(marked)
    commit(hands, (revision_is(hands.keys.incident, pair.mod_revision),),
            (Put(hands.keys.incident, incident_text(marked)),), "not marked")  # fmt: skip
    return Done(f"{action.phase} at {action.node}")


@dataclass(frozen=True)
class Stamps:
    """What the release's own transaction says of the incident. Empty: the incident cannot be read."""

    compares: tuple[Compare, ...] = ()
    puts: tuple[Put, ...] = ()
    record: tuple[dict[str, object], ...] = ()


def released(action: ReleaseLeader, hands: Hands) -> Stamps:
    """Proof, priming, release: whoever dies right after the release has written them. Raises Unreachable."""
    intent, proof, now = action.intent, action.proof, hands.clock.monotonic()
    try:
        incident, pair = open_one(intent.incident, hands)
    except (Refused, StepFailed):
        return Stamps()  # nobody waits for a primary because of a timeline
    said = [(Phase.PROOF, incident.victim, proof.at, f"{proof.kind}: {proof.evidence}")]
    if action.primed:
        said.append((Phase.PRIMED, incident.standby, now, f"{incident.standby} refuses {incident.victim}"))
    said.append((Phase.RELEASED, incident.victim, now, f"leader key deleted, on {proof.kind}"))
    stamps = [_stamp(hands, phase, node, at, why) for phase, node, at, why in said
              if incident.reached(phase) is None]  # fmt: skip
    for stamp in stamps:
        incident = _with(incident, stamp)
    if action.switched_off:
        incident = _switched_off(incident)
    return Stamps(
        (revision_is(hands.keys.incident, pair.mod_revision),),
        (Put(hands.keys.incident, incident_text(incident)),),
        tuple(stamp_object(s) for s in stamps),
    )


def _switched_off(incident: Incident) -> Incident:
    return dataclasses.replace(incident, details={**incident.details, "switched_off": True})


def withdraw(action: Withdraw, hands: Hands) -> Done:
    """Raises Refused: the fence is another one's."""
    keys = hands.keys
    hands.fences.call_off(action.node)
    fence = hands.read(keys.fence(action.node))
    if fence is not None and parse_fence(action.node, fence.value).epoch != action.epoch:
        raise Refused(f"the fence of {action.node} belongs to another epoch than {action.epoch}")
    compares = [revision_is(keys.fence(action.node), fence.mod_revision if fence else 0)]
    then: list[Op] = [Delete(keys.fence(action.node)), Delete(keys.fenced(action.node))]
    if action.standby:
        then += [Delete(keys.prime(action.standby)), Delete(keys.primed(action.standby))]
    closed = None
    if action.incident:
        incident, pair = open_one(action.incident, hands)
        now = hands.clock.monotonic()
        stamp = _stamp(hands, Phase.WITHDRAWN, hands.me, now, action.why)
        closed = dataclasses.replace(_with(incident, stamp), outcome=action.why)
        compares.append(revision_is(keys.incident, pair.mod_revision))
        then.append(Delete(keys.incident))
    commit(hands, compares, then, "not withdrawn")
    record = {"incident": incident_object(closed)} if closed else {}
    return Done(f"fence of {action.node} withdrawn", record=record)


def close(action: CloseIncident, hands: Hands) -> Done:
    """Raises Refused: another incident is open, or none."""
    incident, pair = open_one(action.incident, hands)
    closed = dataclasses.replace(incident, outcome=action.outcome)
    commit(hands, (revision_is(hands.keys.incident, pair.mod_revision),),
            (Delete(hands.keys.incident),), "not closed")  # fmt: skip
    return Done(action.outcome, record={"incident": incident_object(closed)})


def commit(hands: Hands, compares: tuple[Compare, ...] | list[Compare], then: tuple[Op, ...] | list[Op],
            what: str) -> None:  # fmt: skip
    """Raises Refused: what the step rests on changed meanwhile, or this controller is no longer active."""
    if not hands.kv.txn((hands.ours(), *compares), tuple(then), within=WITHIN).succeeded:
        raise Refused(f"{what}: what it rests on changed meanwhile")


def open_one(id_: str, hands: Hands) -> tuple[Incident, Pair]:
    pair = hands.read(hands.keys.incident)
    if pair is None:
        raise Refused(f"no incident is open; {id_} was expected")
    try:
        incident = parse_incident(pair.value)
    except ValueError as error:
        raise StepFailed(f"the key {hands.keys.incident} cannot be read: {error}") from error
    if incident.id != id_:
        raise Refused(f"incident {incident.id} is open, not {id_}")
    return incident, pair


def _epoch_before(key: str, epoch: int) -> Compare:
    return value_is(key, str(epoch - 1)) if epoch > 1 else absent(key)


def _with_walls(incident: Incident, hands: Hands) -> Incident:
    stamps = tuple(
        s if s.wall else dataclasses.replace(s, wall=_wall(hands, s.mono_ms / 1000)) for s in incident.stamps
    )
    return dataclasses.replace(incident, stamps=stamps)


def _stamp(hands: Hands, phase: Phase, node: str, at: float, evidence: str) -> Stamp:
    return Stamp(phase, node, int(at * 1000), _wall(hands, at), evidence, hands.me)


def _with(incident: Incident, stamp: Stamp) -> Incident:
    """In the order of the phases: what is urgent is done first, and written down after."""
    order = list(Phase)
    stamps = sorted((*incident.stamps, stamp), key=lambda s: order.index(s.phase))
    return dataclasses.replace(incident, stamps=tuple(stamps))


def _wall(hands: Hands, mono: float) -> str:
    """For readers: the wall clock at a moment of our monotonic clock."""
    wall = hands.clock.wall() - (hands.clock.monotonic() - mono)
    return dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="milliseconds")


def _key(found: tuple[Pair, ...]) -> Key | None:
    return Key(found[0].value, found[0].mod_revision, found[0].lease) if found else None


def _mode(found: tuple[Pair, ...]) -> Mode | None:
    try:
        return Mode(found[0].value) if found else None
    except ValueError:
        return None  # an unknown word is no promise to be silent


def _changed(fence: tuple[Pair, ...], leader: tuple[Pair, ...], incident: tuple[Pair, ...],
             epoch: tuple[Pair, ...]) -> str:  # fmt: skip
    if fence:
        return "a fence intent stands already"
    if incident:
        return "an incident is open already"
    who = f"{leader[0].value}, revision {leader[0].mod_revision}" if leader else "nobody"
    return f"leader ({who}), epoch ({epoch[0].value if epoch else 'none'}) or active controller changed"
