"""An open failover incident, from the intent to its end: what its state in etcd asks for now."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hactl.decide import limits, power, proof
from hactl.decide.draft import Draft
from hactl.decide.memory import Course, streams
from hactl.decide.plan import (
    CloseIncident,
    Mark,
    PowerOn,
    PrimeStandby,
    Readmit,
    ReleaseLeader,
    RunFenceAgent,
    Veto,
    Withdraw,
    alarm,
)
from hactl.decide.suspicion import probed, signs_of_life
from hactl.decide.vetoes import Situation
from hactl.view.control import Dcs, FenceIntent, FenceRun, Heartbeat, Leader, Proof, ProofKind
from hactl.view.incident import Incident, Phase


@dataclass
class Case:
    """One incident at one look, while its plan is made."""

    s: Situation
    dcs: Dcs
    incident: Incident
    course: Course
    draft: Draft

    @property
    def paused(self) -> bool:
        return self.dcs.paused or self.dcs.patroni.paused

    @property
    def intent(self) -> FenceIntent | None:
        found = self.dcs.fences.get(self.incident.victim)
        return found if found and found.epoch == self.incident.epoch else None

    @property
    def fenced(self) -> bool:
        """The victim's own agent says, for this epoch, that PostgreSQL there is not writable."""
        said = self.dcs.fenced.get(self.incident.victim)
        return said is not None and said.epoch == self.incident.epoch

    @property
    def power(self) -> power.Power:
        return power.look(self.incident, self.s.view, self.course, self.draft.memory, self.s.now)

    def note(self, course: Course) -> None:
        self.course = course
        self.draft.memory = replace(self.draft.memory, course=course)

    def mark(self, phase: Phase, node: str, evidence: str, at: float | None = None) -> None:
        if self.incident.reached(phase) is None:
            when = self.s.now if at is None else at
            cut = power.switched(self.power.cut)
            step = Mark(self.incident.id, phase, node, evidence, when, switched_off=cut)
            self.draft.step(f"mark:{self.incident.epoch}:{phase}", step, evidence)

    def withdraw(self, why: str) -> None:
        i = self.incident
        back = Withdraw(i.id, i.victim, i.epoch, why, i.standby)
        if self.draft.step(f"withdraw:{i.epoch}", back, why):
            recent = tuple(t for t in self.draft.memory.withdrawals if self.s.now - t < limits.FLAP_TIME)
            self.draft.memory = replace(self.draft.memory, withdrawals=(*recent, self.s.now))


def resume(s: Situation, dcs: Dcs, incident: Incident, draft: Draft) -> None:
    before = draft.memory.course
    course = before if before and before.epoch == incident.epoch else Course(incident.epoch, s.now)
    case = Case(s, dcs, incident, course, draft)
    leader, intent = dcs.patroni.leader, case.intent
    led = leader is not None and leader.node == incident.victim
    case.note(replace(course, gone=None if led else course.gone if course.gone is not None else s.now))
    if leader is None:
        _wait_for_promotion(case)
    elif not led:
        _after_promotion(case, leader)
    elif intent is not None and leader == intent.leader:
        _prove(case, intent)
    elif intent is not None:
        case.withdraw(f"{leader.node} leads anew: it lives")
    elif incident.reached(Phase.PROMOTED):
        _redundancy(case, leader)
    else:
        case.withdraw(f"{leader.node} leads and is not fenced")


def _prove(case: Case, intent: FenceIntent) -> None:
    s, draft = case.s, case.draft
    found = proof.look(proof.Question(s.spec, s.view, case.dcs, intent, draft.memory, s.now))
    proved = proof.first(found)
    if why := _why_withdraw(case, intent, found):
        case.withdraw(why)
        return
    _hasten(case, intent, proved)
    if proved is not None:
        _proved(case, intent, proved)
    draft.reasons += [f"{m.kind}: {m.why}" for m in found if isinstance(m, proof.Missing) and proved is None]
    case.mark(Phase.INTENT, case.incident.victim, f"epoch {intent.epoch}, by {intent.by}")


def _proved(case: Case, intent: FenceIntent, proved: Proof) -> None:
    if case.course.proof is None or case.course.proof.kind is not proved.kind:
        case.note(replace(case.course, proof=proved))
    _release(case, intent, case.course.proof or proved)


def _why_withdraw(case: Case, intent: FenceIntent, found: tuple[Proof | proof.Missing, ...]) -> str:
    """Why the intent must be taken back; empty: it must not."""
    patroni, i, now = case.dcs.patroni, case.incident, case.s.now
    if case.paused:
        return "paused: hands off"
    if patroni.sync_leader != i.victim or i.standby not in patroni.sync_standbys:
        return f"/sync does not name {i.standby} any more: Patroni would not promote it"
    proved, run = proof.first(found), _run(case, intent)
    cutting = run is not None and not run.ended
    own_word = proved is not None and proved.kind is ProofKind.SELF_FENCED
    # Before the intent nothing counts; once the power reads off, only what came after that does.
    since = (
        run.read if proved and run and proved.kind is ProofKind.POWER_OFF and run.read else case.course.since
    )
    signs = signs_of_life(case.s.view, case.dcs, intent, case.draft.memory, since)
    if signs and not own_word and not cutting:
        return f"{i.victim} lives: {', '.join(signs)}"
    if proof.hopeless(found) and not own_word:
        said = "; ".join(m.why for m in found if isinstance(m, proof.Missing) and not m.possible)
        return f"nothing can prove {i.victim} silent: {said}"
    if proved is None and now - case.course.since > limits.PROOF:
        return f"no proof within {limits.PROOF:g} s"
    return ""


def _run(case: Case, intent: FenceIntent) -> FenceRun | None:
    run = case.s.view.fence_runs.get(intent.node)
    return run if run and run.epoch == intent.epoch else None


def _hasten(case: Case, intent: FenceIntent, proved: Proof | None) -> None:
    """The fence agent and the standby's priming: again where a controller died before it could ask."""
    spec, standby, epoch, now = case.s.spec, case.incident.standby, intent.epoch, case.s.now
    run = _run(case, intent)
    if proved is None and intent.node in spec.fencing.agents and (run is None or run.ended):
        cut = RunFenceAgent(intent.node, epoch, now + limits.FENCE_START)
        every = limits.RETRY if run is None else limits.FENCE_RETRY
        case.draft.step(f"fence:{epoch}", cut, f"power off {intent.node}, and read that it is off", every)
    prime = case.dcs.primes.get(standby)
    if (prime is None or prime.epoch != epoch) and intent.node in spec.nodes:
        order = PrimeStandby(standby, str(spec.nodes[intent.node].address), epoch)
        case.draft.step(f"prime:{epoch}", order, f"nothing on {standby} shall wait for {intent.node}")


def _release(case: Case, intent: FenceIntent, proved: Proof) -> None:
    i, now = case.incident, case.s.now
    primed = case.dcs.primed.get(i.standby) == intent.epoch
    asked = proved.kind is not ProofKind.LEASE_EXPIRED or probed(case.s.view, i.victim)
    if not asked:
        why = f"{i.victim} was not asked by this controller yet"
        case.draft.vetoes.append(Veto("NOT_ASKED_YET", why))
    elif primed or now - proved.at >= limits.PRIME:
        cut = power.switched(case.power.cut)
        release = ReleaseLeader(intent, proved, primed, switched_off=cut)
        if case.draft.step(f"release:{i.epoch}", release, f"{i.victim} is silent: {proved.evidence}"):
            return  # stamps the incident itself
    case.mark(Phase.PROOF, i.victim, f"{proved.kind}: {proved.evidence}")
    if primed:
        case.mark(Phase.PRIMED, i.standby, f"{i.standby} refuses {i.victim}")


def _wait_for_promotion(case: Case) -> None:
    """Patroni on the standby is at work. After the deadline only our own holds are taken back."""
    i, now = case.incident, case.s.now
    case.mark(Phase.RELEASED, i.victim, "the leader key is gone")
    gone = case.course.gone if case.course.gone is not None else now
    if now - gone < limits.PROMOTION:
        return
    said = f"{i.standby} has not taken the leader key within {limits.PROMOTION:g} s; nobody is primary"
    case.draft.alarms.append(alarm("NO_PRIMARY", i.standby, said))
    if case.fenced and not case.paused:
        _readmit(case, f"{i.victim} may take part again: nobody promotes")


def _after_promotion(case: Case, leader: Leader) -> None:
    i = case.incident
    case.mark(Phase.RELEASED, i.victim, f"{leader.node} holds the leader key")
    case.mark(
        Phase.PROMOTED, leader.node, f"{leader.node} holds the leader key, revision {leader.mod_revision}"
    )
    _service(case, leader)
    if case.intent is None:
        _redundancy(case, leader)
        return
    follows = _follows(case, leader)
    if not follows and i.victim in case.s.spec.fencing.agents:
        _power(case)
        if case.power.holds_fence:
            return
    if (case.fenced or follows) and not case.paused:
        _readmit(case, f"PostgreSQL on {i.victim} is stopped or in recovery")


def _power(case: Case) -> None:
    """What hactl switched off, it switches on again: the node boots closed, and its agent lets it rejoin."""
    i, found = case.incident, case.power
    if found.back and found.on is not None:
        case.mark(Phase.POWERED_ON, i.victim, found.on.said)
    elif found.given_up:
        said = f" ({found.on.said})" if found.on is not None else ""
        case.draft.alarms.append(
            alarm("FENCED", i.victim, f"hactl switched it off, and it is not on again{said}")
        )
    elif found.due and not case.paused:
        why = f"hactl switched {i.victim} off, and the service is back"
        case.draft.step(f"power-on:{i.epoch}", PowerOn(i.victim, i.epoch), why)


def _readmit(case: Case, why: str) -> None:
    i = case.incident
    if case.intent is not None:
        case.draft.step(f"readmit:{i.epoch}", Readmit(i.victim, i.epoch, i.standby), why)


def _service(case: Case, leader: Leader) -> None:
    beat, gone = case.s.view.heartbeat, case.course.gone
    committed = (
        beat.node == leader.node and beat.last_ok is not None and gone is not None and beat.last_ok > gone
    )
    first = _first(beat, gone) if committed else None
    facts = case.dcs.facts.get(leader.node)
    vip = str(case.s.spec.vips.database.address).split("/")[0]
    if committed or (facts is not None and vip in {a.split("/")[0] for a in facts.vips}):
        case.mark(Phase.VIP_UP, leader.node, f"{leader.node} holds {vip}", first)
    if committed:
        said = f"a new connection through the VIP committed on {leader.node}"
        case.mark(Phase.FIRST_COMMIT, leader.node, said, first)


def _first(beat: Heartbeat, gone: float | None) -> float | None:
    """When the first commit of those in a row was made: this decision may come some beats later."""
    return beat.since if beat.since is not None and gone is not None and beat.since > gone else None


def _follows(case: Case, leader: Leader) -> bool:
    """The victim streams from the new primary: whatever its agent says, it is no primary."""
    patroni, victim = case.dcs.patroni, case.incident.victim
    named = patroni.sync_leader == leader.node and victim in patroni.sync_standbys
    return named or streams(case.dcs, victim)


def _redundancy(case: Case, leader: Leader) -> None:
    """Closed when somebody else has the data again, and a client could commit."""
    i, patroni = case.incident, case.dcs.patroni
    named = patroni.sync_standbys if patroni.sync_leader == leader.node else ()
    others = [n for n in case.s.spec.databases if n != leader.node]
    back = next((n for n in others if n in named or streams(case.dcs, n)), None)
    if back is None and others and i.victim in case.s.spec.databases:
        return
    gone = case.course.since if case.course.gone is None else case.course.gone
    if i.reached(Phase.FIRST_COMMIT) is None and case.s.now - gone < limits.CLOSE:
        return
    if case.paused:
        return
    if back is not None:
        case.mark(Phase.REDUNDANT, back, f"{back} streams from {leader.node}")
    outcome = f"{leader.node} is primary, {back or 'nobody'} its standby"
    case.draft.step(f"close:{i.epoch}", CloseIncident(i.id, outcome), outcome)
