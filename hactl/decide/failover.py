"""The fast failover, decided anew each 50-100 ms from what etcd says and a memory that may be empty.

OpenIncident (fence intent) -> RunFenceAgent, PrimeStandby -> first proof -> ReleaseLeader -> Patroni promotes
-> PowerOn, Readmit -> CloseIncident; Withdraw ends it at any time before the release. Where an incident
stands is read from the intent, the leader key and /sync: another controller goes on where the first one died.
"""

from __future__ import annotations

from dataclasses import replace

from hactl.decide import limits, suspicion, vetoes
from hactl.decide.draft import Draft
from hactl.decide.incident import resume
from hactl.decide.memory import FailoverMemory, Opening, Suspected, noted, observe, usable
from hactl.decide.plan import (
    OpenIncident,
    Plan,
    PrimeStandby,
    Readmit,
    RunFenceAgent,
    Withdraw,
    alarm,
)
from hactl.decide.vetoes import Situation
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, FenceIntent, Prime
from hactl.view.control_text import parse_incident
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.model import Unknown

__all__ = ["KIND", "FailoverMemory", "decide_failover", "noted", "situation"]

KIND = "failover"


def situation(spec: ClusterSpec, view: ControlView, memory: FailoverMemory, now: float) -> Situation:
    """What is asked of now, with the memory that this look leaves."""
    dcs = usable(view, memory, now)
    memory = observe(spec, view, memory, now)
    found = suspicion.assess(view, dcs, memory)
    memory = replace(memory, suspected=_since(memory.suspected, found, now))
    return Situation(spec, view, memory, now, dcs, found)


def _since(before: Suspected | None, found: suspicion.Suspicion, now: float) -> Suspected | None:
    if not found.holds:
        return None
    return before if before and before.node == found.node else Suspected(found.node, now)


def decide_failover(
    spec: ClusterSpec, view: ControlView, memory: FailoverMemory, now: float
) -> tuple[Plan, FailoverMemory]:
    """The next steps and the memory for the next call. A controller that stands by gets no steps."""
    s = situation(spec, view, memory, now)
    held = (memory.held_since if memory.held_since is not None else now) if view.holding else None
    draft = Draft(replace(s.memory, held_since=held), now)
    if isinstance(s.dcs, Unknown) or not view.holding:
        if s.suspicion.holds:
            draft.vetoes += vetoes.against(s)
        return draft.done()
    if s.dcs.incident is None:
        draft.memory = replace(draft.memory, course=None)
        _sweep(spec, s.dcs, draft)
        if s.suspicion.holds:
            _begin(s, s.dcs, draft)
        return draft.done()
    try:
        incident = parse_incident(s.dcs.incident)
    except ValueError as error:
        draft.alarms.append(alarm("INCIDENT_OPEN", "incident", f"its text in etcd cannot be read: {error}"))
        return draft.done()
    if incident.kind == KIND:
        resume(s, s.dcs, incident, draft)
    elif s.suspicion.holds:
        draft.vetoes += vetoes.against(s)
    return draft.done()


def _begin(s: Situation, dcs: Dcs, draft: Draft) -> None:
    found = vetoes.against(s)
    if found or s.leader is None:
        draft.vetoes += found
        return
    epoch, victim, standby = dcs.epoch + 1, s.victim, s.standby
    incident = _incident(s, epoch)
    intent = FenceIntent(victim, epoch, incident.id, s.view.me, s.leader, s.suspicion.said)
    if not draft.step("open", OpenIncident(incident, intent), s.suspicion.said):
        return
    key = dcs.alive.get(victim)
    opening = Opening(
        epoch,
        s.now,
        key.mod_revision if key else None,
        frozenset(s.suspicion.failing),
        bool(s.suspicion.grey),
    )
    draft.memory = replace(draft.memory, opening=opening)
    if victim in s.spec.fencing.agents:
        run = RunFenceAgent(victim, epoch, s.now + limits.FENCE_START)
        draft.step(f"fence:{epoch}", run, f"power off {victim}, and read that it is off", every=0.0)
    prime = PrimeStandby(standby, str(s.spec.nodes[victim].address), epoch)
    draft.step(f"prime:{epoch}", prime, f"nothing on {standby} shall wait for {victim}", every=0.0)


def _incident(s: Situation, epoch: int) -> Incident:
    since = s.memory.suspected.since if s.memory.suspected else s.now
    # The wall clock is not the core's: whoever writes the incident down adds it.
    stamp = Stamp(Phase.SUSPECTED, s.view.me, round(since * 1000), "", s.suspicion.said, s.view.me)
    details = {
        "paths": {
            str(p): st.why or f"{st.misses} misses" for p, st in s.view.paths.get(s.victim, {}).items()
        },
        "etcd_leader": s.view.etcd_leader.why
        if isinstance(s.view.etcd_leader, Unknown)
        else s.view.etcd_leader,
        "grey": bool(s.suspicion.grey),
    }
    name = f"{KIND}-{epoch}"
    return Incident(name, KIND, s.victim, s.standby, epoch, stamps=(stamp,), details=details)


def _sweep(spec: ClusterSpec, dcs: Dcs, draft: Draft) -> None:
    """What an incident left behind whose key somebody removed. Fences set by hand are not touched."""
    if dcs.paused or dcs.patroni.paused:
        return
    for intent in dcs.fences.values():
        if intent.incident.startswith(f"{KIND}-"):
            why = f"the fence's incident {intent.incident} is not there any more"
            prime = next((p for p in dcs.primes.values() if p.epoch == intent.epoch), None)
            back = Withdraw("", intent.node, intent.epoch, why, prime.node if prime else "")
            draft.step(f"withdraw:{intent.epoch}", back, why)
    epochs = {intent.epoch for intent in dcs.fences.values()}
    for prime in dcs.primes.values():
        if prime.epoch not in epochs:
            why = f"{prime.node} refuses {prime.reject} for an incident that is over"
            draft.step(f"readmit:{prime.epoch}", Readmit(_at(spec, prime), prime.epoch, prime.node), why)


def _at(spec: ClusterSpec, prime: Prime) -> str:
    return next((n for n, node in spec.databases.items() if str(node.address) == prime.reject), "")
