"""Why the fast failover would act or not, as a tree: each precondition and proof with evidence and age."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hactl.decide import proof, vetoes
from hactl.decide.failover import situation
from hactl.decide.memory import FailoverMemory
from hactl.decide.vetoes import Answer, Check, Situation
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, FenceIntent, Proof
from hactl.view.model import Unknown


@dataclass(frozen=True)
class Branch:
    """`holds` is None for what only informs. `age` in seconds, of what the sentence rests on."""

    code: str
    said: str
    holds: bool | None = None
    evidence: str = ""
    age: float | None = None
    under: tuple[Branch, ...] = ()


def explain(spec: ClusterSpec, view: ControlView, memory: FailoverMemory, now: float) -> Branch:
    """The tree as of now; nothing is decided or remembered by asking."""
    s = situation(spec, view, memory, now)
    suspicion = _asked(vetoes.SUSPECTED, s)
    conditions = tuple(_condition(check, s) for check in vetoes.CHECKS)
    proofs = _proofs(s)
    ready = all(b.holds is not False for b in conditions)
    acts = bool(suspicion.holds) and ready
    said = f"{s.victim or 'nobody'} would be fenced now" if acts else _why_not(suspicion, conditions, s)
    return Branch("FAILOVER", said, acts, under=(
        suspicion,
        Branch("PRECONDITIONS", "all must hold", ready, under=conditions),
        Branch("PROOFS", "the first one is enough", any(b.holds for b in proofs), under=proofs),
        _etcd_leader(s),
        _loss(s),
    ))  # fmt: skip


def _asked(check: Check, s: Situation) -> Branch:
    answer: Answer = check.ask(s)
    return Branch(check.code, answer.said, answer.holds, answer.evidence, answer.age)


def _condition(check: Check, s: Situation) -> Branch:
    """A sign of life of a node that nobody suspects only informs: lost, it would show none."""
    found = _asked(check, s)
    lives = check.code in vetoes.SIGNS_OF_LIFE and not found.holds and not s.suspicion.holds
    return replace(found, holds=None) if lives else found


def _why_not(suspicion: Branch, conditions: tuple[Branch, ...], s: Situation) -> str:
    missing = [b.code for b in conditions if b.holds is False]
    if not suspicion.holds:
        later = (
            f"; if it were lost: {', '.join(missing)}" if missing else "; if it were lost, it would be fenced"
        )
        return f"{s.victim or 'no primary'} is not suspected{later}"
    return f"{s.victim} is suspected, and vetoed by {', '.join(missing)}"


def _proofs(s: Situation) -> tuple[Branch, ...]:
    """With an intent: how far each proof is. Without: which there could be, and how long it would take."""
    if isinstance(s.dcs, Unknown):
        return (Branch("UNKNOWN", "no look at etcd, no proof", False, s.dcs.why),)
    intent = next(iter(s.dcs.fences.values()), None)
    if intent is None:
        return _possible(s, s.dcs)
    return tuple(_found(p, s) for p in proof.look(_question(s, s.dcs, intent)))


def _question(s: Situation, dcs: Dcs, intent: FenceIntent) -> proof.Question:
    return proof.Question(s.spec, s.view, dcs, intent, s.memory, s.now)


def _found(found: Proof | proof.Missing, s: Situation) -> Branch:
    if isinstance(found, Proof):
        return Branch(str(found.kind), f"{found.node} is silent", True, found.evidence)
    due = "" if found.due is None else f"; due in {max(0.0, found.due - s.now):.1f} s"
    return Branch(str(found.kind), f"{found.why}{due}", False)


def _possible(s: Situation, dcs: Dcs) -> tuple[Branch, ...]:
    agent = s.spec.fencing.agents.get(s.victim)
    gap = vetoes.lease_gap(dcs, s.victim) if s.victim else "no primary is known"
    length = s.spec.fencing.lease.value
    power = f"{agent.agent} would cut its power" if agent else "no fence agent in the spec"
    lease = gap or f"its lease would end at most {length:g} s after its last renewal"
    return (
        Branch("power-off", power, None if agent else False),
        Branch("self-fenced", "its own agent would answer the intent, if it lives"),
        Branch("lease-expired", lease, False if gap else None),
    )


def _etcd_leader(s: Situation) -> Branch:
    place = s.view.etcd_leader
    if isinstance(place, Unknown):
        return Branch("ETCD_LEADER", "where etcd's leader is, is not known", None, place.why)
    if s.victim and place == s.victim:
        said = f"etcd's leader is on {place} too: an election adds 0.5 to 2.5 s"
        return Branch("ETCD_LEADER", said, False)
    return Branch("ETCD_LEADER", f"etcd's leader is on {place}", True)


def _loss(s: Situation) -> Branch:
    """The predicted RPO. /sync is written before a commit is acknowledged without the standby."""
    if isinstance(s.dcs, Unknown) or not s.victim:
        return Branch("RPO", "not predictable", None)
    if s.standby and s.dcs.patroni.sync_leader == s.victim:
        return Branch("RPO", f"0: {s.standby} has every acknowledged commit", True)
    members = s.dcs.patroni.members
    mine = members[s.victim].lsn if s.victim in members else None
    behind = [(n, m.lsn) for n, m in members.items() if n != s.victim and m.lsn is not None]
    if mine is None or not behind:
        return Branch("RPO", "not predictable: no position of a standby is known", False)
    said = ", ".join(f"{n} lacks {max(0, (mine - lsn).value)} bytes of WAL" for n, lsn in behind)
    return Branch("RPO", said, False, "as the members last wrote")


def lines(branch: Branch, depth: int = 0) -> Iterator[str]:
    """The tree as text, one branch a line."""
    sign = {True: "+", False: "-", None: " "}[branch.holds]
    age = "" if branch.age is None else f" ({branch.age:.1f} s)"
    evidence = f" [{branch.evidence}]" if branch.evidence else ""
    yield f"{'  ' * depth}{sign} {branch.code}: {branch.said}{age}{evidence}"
    for part in branch.under:
        yield from lines(part, depth + 1)


def as_object(branch: Branch) -> dict[str, object]:
    """The tree for JSON: the journal and `-o json`."""
    return {
        "code": branch.code, "said": branch.said, "holds": branch.holds, "evidence": branch.evidence,
        "age": None if branch.age is None else round(branch.age, 3),
        "under": [as_object(b) for b in branch.under],
    }  # fmt: skip
