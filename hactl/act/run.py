"""Runs a plan: guard again, write the intent, act, write the result; the first failure ends it."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from hactl.act import archive, orders, power, scheduled, takeover
from hactl.act import incident as incidents
from hactl.act.hands import Done, Hands
from hactl.decide.plan import (
    Action,
    CloseIncident,
    DrainArchive,
    DropScheduled,
    GiveOrder,
    Mark,
    MoveEtcdLeader,
    OpenIncident,
    Outcome,
    Plan,
    PowerOn,
    PrimeStandby,
    Readmit,
    Reinitialize,
    ReleaseLeader,
    RunFenceAgent,
    Step,
    SwitchOver,
    UndrainArchive,
    Withdraw,
    YieldControl,
)
from hactl.errors import HactlError, Refused
from hactl.view.control_text import incident_object
from hactl.view.incident import Incident


@dataclass(frozen=True)
class _Result:
    """Owed to the journal for intent `seq`; `at`: of which outcome."""

    seq: int
    ok: bool
    data: Mapping[str, object]
    at: int


def execute(plan: Plan, hands: Hands) -> tuple[Outcome, ...]:
    """What became of each step that was begun. Never raises for what the world does.

    Each intent is written before its act. Results are written when the plan is through: in a failover the
    next step must not wait for them.
    """
    outcomes: list[Outcome] = []
    owed: list[_Result] = []
    for step in plan.steps:
        outcomes.append(_run(step, hands, owed, len(outcomes)))
        if not outcomes[-1].done:
            break
    for result in owed:
        if said := _written(result, hands):
            before = outcomes[result.at]
            outcomes[result.at] = dataclasses.replace(before, said=f"{before.said} ({said})")
    return tuple(outcomes)


def kind(action: Action) -> str:
    """`RunFenceAgent` -> `run-fence-agent`: as the journal and the metrics name it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(action).__name__).lower()


def _run(step: Step, hands: Hands, owed: list[_Result], at: int) -> Outcome:
    asked = hands.clock.monotonic()
    try:
        hands.token()
        done = _recorded(step, hands, owed, at)
    except HactlError as error:
        return Outcome(
            step.action, done=False, said=_sentence(error), asked=asked, at=hands.clock.monotonic()
        )
    now = hands.clock.monotonic()
    return Outcome(step.action, True, done.said, asked, now, done.alive, done.mode)


def _recorded(step: Step, hands: Hands, owed: list[_Result], at: int) -> Done:
    """With the intent in the journal before. A mark acts on nothing: it is one record."""
    if isinstance(step.action, Mark):
        return incidents.mark(step.action, hands)
    incident, epoch = belongs_to(step.action)
    data = {"reason": step.reason, **described(step.action)}
    if isinstance(step.action, YieldControl):  # afterwards it is another one who writes
        hands.journal.event(kind(step.action), data=data)
        return _act(step.action, hands)
    seq = hands.journal.intent(kind(step.action), incident=incident, epoch=epoch, data=data)
    try:
        done = _act(step.action, hands)
    except HactlError as error:
        owed.append(_Result(seq, False, {"said": _sentence(error)}, at))
        raise
    owed.append(_Result(seq, True, {"said": done.said, **(done.record or {})}, at))
    return done


def _written(result: _Result, hands: Hands) -> str:
    """What is done is done: a journal that cannot take the result does not change it, but it is said."""
    try:
        hands.journal.result(result.seq, ok=result.ok, data=result.data)
    except HactlError as error:
        return f"result not in the journal: {error.message}"
    return ""


def _act(action: Action, hands: Hands) -> Done:  # noqa: C901, PLR0911, PLR0912 - one line for each kind of action
    match action:
        case OpenIncident():
            return incidents.open_incident(action, hands)
        case RunFenceAgent():
            return takeover.run_fence_agent(action, hands)
        case PowerOn():
            return power.power_on(action, hands)
        case PrimeStandby():
            return takeover.prime(action, hands)
        case ReleaseLeader():
            return takeover.release(action, hands)
        case Readmit():
            return takeover.readmit(action, hands)
        case Withdraw():
            return incidents.withdraw(action, hands)
        case CloseIncident():
            return incidents.close(action, hands)
        case Mark():
            return incidents.mark(action, hands)
        case GiveOrder():
            return orders.give(action, hands)
        case Reinitialize():
            return orders.reinitialize(action, hands)
        case MoveEtcdLeader():
            return orders.move_etcd_leader(action, hands)
        case DrainArchive():
            return archive.drain(action, hands)
        case UndrainArchive():
            return archive.undrain(action, hands)
        case SwitchOver():
            return scheduled.switch_over(action, hands)
        case DropScheduled():
            return scheduled.drop(action, hands)
        case YieldControl():
            return orders.yield_control(action, hands)
        case _:
            assert_never(action)


def belongs_to(action: Action) -> tuple[str, int]:
    """The incident and the epoch of an action; empty and 0 where it has none."""
    match action:
        case OpenIncident():
            return action.incident.id, action.intent.epoch
        case ReleaseLeader():
            return action.intent.incident, action.intent.epoch
        case Withdraw():
            return action.incident, action.epoch
        case RunFenceAgent() | PowerOn() | PrimeStandby() | Readmit():
            return "", action.epoch
        case Mark() | CloseIncident():
            return action.incident, 0
        case _:
            return "", 0


def described(action: Action) -> dict[str, object]:
    """The action's fields, as the journal keeps them."""
    found: dict[str, object] = {}
    for field in dataclasses.fields(action):
        value = getattr(action, field.name)
        if isinstance(value, Incident):
            found[field.name] = incident_object(value)
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            found[field.name] = dataclasses.asdict(value)
        else:
            found[field.name] = value
    return found


def _sentence(error: HactlError) -> str:
    vetoes = "; ".join(error.vetoes) if isinstance(error, Refused) else ""
    return f"{error.message}: {vetoes}" if vetoes else error.message
