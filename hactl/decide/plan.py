"""A plan: typed actions with reasons, and what was refused and why. Deciding returns it, `act` runs it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hactl.view.control import FenceIntent, Key, Mode, Proof
from hactl.view.incident import Incident, Phase
from hactl.view.scheduled import Scheduled


@dataclass(frozen=True)
class OpenIncident:
    """One transaction: fence intent, incident and epoch, if leader key and our own lease are unchanged."""

    incident: Incident
    intent: FenceIntent


@dataclass(frozen=True)
class RunFenceAgent:
    """Start the node's fence agent: power off, then read the status. Irreversible only for its power.

    Not begun after `not_after` (monotonic): a controller that was frozen must not cut a node's power later.
    """

    node: str
    epoch: int
    not_after: float


@dataclass(frozen=True)
class PowerOn:
    """Switch on again, by its fence agent, a node that hactl switched off in this epoch's incident.

    While its fence stands that is safe: it boots closed. Whoever runs it ends the fence agent first.
    """

    node: str
    epoch: int


@dataclass(frozen=True)
class PrimeStandby:
    """Have the standby's agent refuse what is sent to the dead address and end its connections there."""

    standby: str
    address: str
    epoch: int


@dataclass(frozen=True)
class ReleaseLeader:
    """One transaction: delete the leader key, if intent and leader key are unchanged. Needs a proof.

    It stamps the incident as well: a controller that dies right after it owes nothing. `primed`: the standby
    says that it is; `switched_off`: as in Mark.
    """

    intent: FenceIntent
    proof: Proof
    primed: bool = False
    switched_off: bool = False


@dataclass(frozen=True)
class Mark:
    """A phase was reached: kept in the incident and in the journal. `at`: when it was seen, monotonic.

    `switched_off` is kept with it: whoever goes on shall know that the victim's power is ours to give back.
    """

    incident: str
    phase: Phase
    node: str
    evidence: str = ""
    at: float = 0.0
    switched_off: bool = False


@dataclass(frozen=True)
class Withdraw:
    """Take intent, order to refuse and incident back at once: the primary lives, or nothing can be proved.

    `incident` is empty for a fence whose incident is not there any more.
    """

    incident: str
    node: str
    epoch: int
    why: str
    standby: str = ""


@dataclass(frozen=True)
class CloseIncident:
    incident: str
    outcome: str


@dataclass(frozen=True)
class Readmit:
    """Remove the fence and the refusal of this epoch: the node's PostgreSQL is stopped or in recovery."""

    node: str
    epoch: int
    standby: str


@dataclass(frozen=True)
class GiveOrder:
    """A local act by a node's agent: verbs as the agent's root helper knows them."""

    node: str
    verb: str
    unit: str = ""
    rung: str = ""


@dataclass(frozen=True)
class Reinitialize:
    """Have Patroni copy a standby anew, the old data kept aside. Never the last good copy."""

    node: str


@dataclass(frozen=True)
class MoveEtcdLeader:
    to: str


@dataclass(frozen=True)
class DrainArchive:
    """Keep an archive node out of the archive VIP. `takers` shall take over: none of them may be drained.

    `within`: seconds for what is under way: it does not serve, so most of that hangs, and new clients wait.
    """

    node: str
    why: str
    takers: tuple[str, ...]
    rung: str = "drain"
    within: float = 2.0


@dataclass(frozen=True)
class UndrainArchive:
    """Let in again what DrainArchive kept out; nobody else's drain."""

    node: str
    why: str


@dataclass(frozen=True)
class SwitchOver:
    """Ask Patroni to hand over, as somebody ordered for this time."""

    order: Scheduled
    primary: str
    target: str


@dataclass(frozen=True)
class DropScheduled:
    """It is its time, and it must not be done: all reasons."""

    order: Scheduled
    why: tuple[str, ...]


@dataclass(frozen=True)
class YieldControl:
    """Hand the controller's lease to another controller."""

    why: str


Action = (
    OpenIncident
    | RunFenceAgent
    | PowerOn
    | PrimeStandby
    | ReleaseLeader
    | Mark
    | Withdraw
    | CloseIncident
    | Readmit
    | GiveOrder
    | Reinitialize
    | MoveEtcdLeader
    | DrainArchive
    | UndrainArchive
    | SwitchOver
    | DropScheduled
    | YieldControl
)


@dataclass(frozen=True)
class Step:
    action: Action
    reason: str


@dataclass(frozen=True)
class Veto:
    """A precondition that does not hold. `code` is stable, `evidence` is what was seen."""

    code: str
    why: str
    evidence: str = ""


@dataclass(frozen=True)
class Plan:
    """What to do now, in this order; empty: nothing. `vetoes`: why what seems needed is not done.

    A step that fails ends the plan: what follows rests on it.
    """

    steps: tuple[Step, ...] = ()
    vetoes: tuple[Veto, ...] = ()
    reasons: tuple[str, ...] = ()
    alarms: tuple[str, ...] = field(default=())


def alarm(code: str, subject: str, detail: str) -> str:
    """One of a plan's alarms: a health code, what it is about, and what was seen."""
    return f"{code} {subject}: {detail}"


@dataclass(frozen=True)
class Outcome:
    """What became of a step: `asked` and `at` are monotonic seconds before and after it.

    `alive` and `mode` are what OpenIncident's own transaction read of the victim; None: no such key.
    """

    action: Action
    done: bool
    said: str
    asked: float
    at: float
    alive: Key | None = None
    mode: Mode | None = None
