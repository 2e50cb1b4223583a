"""What must hold before a primary is fenced. Each precondition is one small question; a no is a named veto.

The tuple CHECKS is the safety policy, to be read aloud. None of them can be overruled by another.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hactl.decide import limits
from hactl.decide.memory import FailoverMemory
from hactl.decide.plan import Veto
from hactl.decide.suspicion import Suspicion
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, Leader, Mode
from hactl.view.model import Unknown


@dataclass(frozen=True)
class Situation:
    """All that the questions are asked of. `dcs`: the look if it is usable, else why it is not."""

    spec: ClusterSpec
    view: ControlView
    memory: FailoverMemory
    now: float
    dcs: Dcs | Unknown
    suspicion: Suspicion

    @property
    def victim(self) -> str:
        return self.suspicion.node

    @property
    def leader(self) -> Leader | None:
        return None if isinstance(self.dcs, Unknown) else self.dcs.patroni.leader

    @property
    def standby(self) -> str:
        """The one that /sync names; empty when it names none."""
        if isinstance(self.dcs, Unknown):
            return ""
        named = self.dcs.patroni.sync_standbys
        return next((n for n in named if n in self.spec.databases and n != self.victim), "")


@dataclass(frozen=True)
class Answer:
    """`said` is a sentence in either case; `age` in seconds, of what it rests on."""

    holds: bool
    said: str
    evidence: str = ""
    age: float | None = None


@dataclass(frozen=True)
class Check:
    code: str
    question: str
    ask: Callable[[Situation], Answer]


_NOT_NEEDED = ("facts", "order", "done", "members")  # keys that no precondition rests on alone
NO_LOOK = Answer(False, "nothing is known without a look at etcd")


def holding(s: Situation) -> Answer:
    if s.view.holding:
        return Answer(True, f"{s.view.me} holds the controller's lease")
    return Answer(False, f"{s.view.me} does not hold the controller's lease")


def etcd_fresh(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return Answer(False, "etcd does not answer", s.dcs.why)
    return Answer(True, "etcd answers with a quorum", f"revision {s.dcs.revision}", s.now - s.view.dcs_at)


def etcd_readable(s: Situation) -> Answer:
    """What cannot be read looks as if it were not there: a fence, a pause, an epoch."""
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    bad = [p for p in s.dcs.problems if not any(f"/{kind}/" in p for kind in _NOT_NEEDED)]
    if bad:
        return Answer(False, "a key in etcd cannot be read", "; ".join(bad))
    return Answer(True, "every key could be read")


def etcd_settled(s: Situation) -> Answer:
    since = s.memory.looking_since
    if since is None:
        return NO_LOOK
    long = s.now - since
    if long < limits.SETTLE:
        why = f"etcd answers for only {long:.1f} s: living agents get {limits.SETTLE} s to renew"
        return Answer(False, why, age=long)
    return Answer(True, "etcd has answered without a gap", age=long)


def known_primary(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    if s.leader is None:
        return Answer(False, "nobody holds the leader key: there is nothing to release")
    if s.leader.node not in s.spec.databases:
        return Answer(False, f"{s.leader.node} leads, but is no database node of the spec")
    return Answer(True, f"{s.leader.node} holds the leader key", f"revision {s.leader.mod_revision}")


def suspected(s: Situation) -> Answer:
    since = s.memory.suspected.since if s.memory.suspected else s.now
    return Answer(s.suspicion.holds, s.suspicion.said, _paths(s), s.now - since)


def _paths(s: Situation) -> str:
    states = s.view.paths.get(s.victim, {})
    return "; ".join(f"{p}: {st.misses} misses{f', {st.why}' if st.why else ''}" for p, st in states.items())


def not_paused(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    who = [name for name, is_so in (("hactl", s.dcs.paused), ("Patroni", s.dcs.patroni.paused)) if is_so]
    if who:
        return Answer(False, f"{' and '.join(who)} {'is' if len(who) == 1 else 'are'} paused")
    return Answer(True, "nothing is paused")


def no_incident(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    if s.dcs.incident is not None:
        return Answer(False, "another incident is open", s.dcs.incident[:80])
    return Answer(True, "no incident is open")


def no_fence(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    if s.dcs.fences:
        said = ", ".join(f"{f.node} under epoch {f.epoch}" for f in s.dcs.fences.values())
        return Answer(False, "a fence stands already", said)
    return Answer(True, "no node is fenced")


def below_rate(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    n = s.dcs.recent_failovers
    said = f"{n} automatic failovers within the last hour, {limits.PER_HOUR} are allowed"
    return Answer(n < limits.PER_HOUR, said)


def not_flapping(s: Situation) -> Answer:
    recent = [t for t in s.memory.withdrawals if s.now - t < limits.FLAP_TIME]
    said = f"{len(recent)} intents were taken back within the last minute"
    return Answer(len(recent) < limits.FLAPS, said)


def standby_in_sync(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    if not s.standby:
        return Answer(
            False, "/sync names no standby: Patroni would not promote one, and commits may be missing"
        )
    return Answer(True, f"/sync names {s.standby}: every acknowledged commit is there")


def sync_is_the_victims(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    holder = s.dcs.patroni.sync_leader
    if not s.victim or holder != s.victim:
        return Answer(False, f"/sync is {holder or 'nobody'}'s, not {s.victim or 'any leader'}'s")
    return Answer(True, f"/sync is {holder}'s own")


def streamed(s: Situation) -> Answer:
    good = s.memory.good
    if good is None:
        return Answer(False, "this controller has not seen a standby stream")
    age = s.now - good.at
    if good.leader != s.leader or good.standby != s.standby:
        return Answer(False, f"what was seen to stream is {good.standby} from {good.leader.node}", age=age)
    since = s.memory.suspected.since if s.memory.suspected else s.now
    before = since - good.at
    if before > limits.STREAMED:
        why = f"{good.standby} was last seen streaming {before:.1f} s before the suspicion"
        return Answer(False, why, age=age)
    return Answer(True, f"{good.standby} streamed until the loss", age=age)


def not_renewing(s: Situation) -> Answer:
    """A node that renews its lease lives, whatever else cannot reach it: the network between is cut."""
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    seen = s.memory.renewals.get(s.victim)
    if s.suspicion.grey or seen is None:
        return Answer(True, "no renewal of its lease speaks against it")
    age = s.now - seen.at
    if age < limits.RENEWED:
        return Answer(
            False, f"{s.victim} renewed its lease {age:.1f} s ago", f"revision {seen.revision}", age
        )
    return Answer(True, f"{s.victim} has not renewed its lease", f"revision {seen.revision}", age)


def not_serving(s: Situation) -> Answer:
    beat = s.view.heartbeat
    if beat.last_ok is None or beat.node != s.victim:
        return Answer(True, "no commit through the VIP speaks against it")
    since = s.memory.suspected.since if s.memory.suspected else s.now
    age = s.now - beat.last_ok
    if beat.last_ok > since:
        return Answer(False, f"{s.victim} took a commit through the VIP {age:.1f} s ago", age=age)
    return Answer(True, "no commit through the VIP since the suspicion", age=age)


def provable(s: Situation) -> Answer:
    if isinstance(s.dcs, Unknown):
        return NO_LOOK
    if s.victim in s.spec.fencing.agents:
        return Answer(True, f"{s.victim} has the fence agent {s.spec.fencing.agents[s.victim].agent}")
    why = lease_gap(s.dcs, s.victim)
    if why:
        return Answer(False, f"nothing could prove {s.victim} silent: {why}; Patroni's TTL will act")
    return Answer(True, f"{s.victim} serves by a lease that runs out")


def lease_gap(dcs: Dcs, node: str) -> str:
    """Why the lease's end would prove nothing of this node; empty when it would."""
    mode, key, leader = dcs.modes.get(node), dcs.alive.get(node), dcs.patroni.leader
    if mode is not Mode.LEASED:
        return f"its mode is {mode.value if mode else 'not known'}"
    if key is None:
        return "it never renewed a lease"
    if leader is not None and leader.node == node and key.mod_revision <= leader.mod_revision:
        return "it renewed no lease under this leadership"
    if key.mod_revision <= dcs.mode_revisions.get(node, key.mod_revision):
        return "it renewed no lease since it went to mode leased"
    return ""


CHECKS: tuple[Check, ...] = (
    Check("NOT_ACTIVE", "does this controller hold its lease?", holding),
    Check("ETCD_UNKNOWN", "does etcd answer, linearizably and just now?", etcd_fresh),
    Check("ETCD_UNREADABLE", "could every key be read?", etcd_readable),
    Check("ETCD_JUST_BACK", "has etcd answered long enough for the living to renew?", etcd_settled),
    Check("NO_PRIMARY", "is a primary known?", known_primary),
    Check("PAUSED", "is nothing paused?", not_paused),
    Check("INCIDENT_OPEN", "is no other incident open?", no_incident),
    Check("FENCE_OPEN", "is no node fenced?", no_fence),
    Check("TOO_MANY_FAILOVERS", "were there fewer than 3 automatic failovers within the hour?", below_rate),
    Check("FLAPPING", "were few intents taken back lately?", not_flapping),
    Check("STANDBY_NOT_IN_SYNC", "does /sync name a standby?", standby_in_sync),
    Check("SYNC_NOT_THE_LEADERS", "is /sync the lost primary's?", sync_is_the_victims),
    Check("STANDBY_NOT_STREAMING", "did the standby stream until the loss?", streamed),
    Check("STILL_RENEWING", "has the node stopped to renew its lease?", not_renewing),
    Check("STILL_SERVING", "does no commit through the VIP reach it any more?", not_serving),
    Check("LEASE_OPEN", "can it be proved silent?", provable),
)

# Who serves shows these by serving. Of a node that nobody suspects they do not say what were, if it was lost.
SIGNS_OF_LIFE = frozenset({"STILL_RENEWING", "STILL_SERVING"})

SUSPECTED = Check("NOT_SUSPECTED", "do 3 of 4 paths to it fail, 4 looks in a row each?", suspected)


def against(s: Situation) -> tuple[Veto, ...]:
    """Every precondition that does not hold, not only the first."""
    answers = ((check, check.ask(s)) for check in CHECKS)
    return tuple(Veto(check.code, a.said, a.evidence) for check, a in answers if not a.holds)
