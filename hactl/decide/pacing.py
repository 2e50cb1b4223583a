"""How often something may be tried: looks in a row, back-off between tries, a budget per hour in etcd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from hactl.decide.budgets import limit
from hactl.decide.limits import CLOSE
from hactl.decide.plan import Veto
from hactl.view.control import AgentFacts, Dcs, Maintenance
from hactl.view.control_text import parse_incident
from hactl.view.incident import Incident, Phase

_T = TypeVar("_T")

BACK_OFF: Final = 30.0  # seconds after the first try; doubled with each further one
LONGEST_BACK_OFF: Final = 600.0
PULSE: Final = 3.5  # an agent that publishes each second: three missed in a row are silence
_MISSED: Final = 2.5  # of its pace: as many for one that publishes less often
ORDER_ENDS: Final = 90.0  # the longest verb has 60 s; an order older than this was lost with its agent


@dataclass(frozen=True)
class Seen:
    """A trouble, look after look. `what` is how it looks now, `spent` how long it has looked so or otherwise.

    Something that goes back and forth, like a server that fails to start again and again, adds up.
    `acted`: when something was last done about it.
    """

    what: str
    last: float
    looks: int = 1
    spent: Mapping[str, float] = field(default_factory=dict)
    tries: int = 0
    acted: float | None = None

    @property
    def lasts(self) -> float:
        """Seconds that it has looked as it does now."""
        return self.spent.get(self.what, 0.0)

    def waits(self, now: float) -> float:
        """Seconds until the next try may be made; 0: now."""
        if self.acted is None:
            return 0.0
        pause = min(LONGEST_BACK_OFF, BACK_OFF * 2.0 ** (self.tries - 1))
        return max(0.0, self.acted + pause - now)

    def tried(self, now: float) -> Seen:
        """The time before does not count against what was just done."""
        return replace(self, tries=self.tries + 1, acted=now, spent={})


@dataclass(frozen=True)
class Pulses:
    """When each agent's report and each order last changed: what is only left over in etcd does not count.

    `led`: the open incident, and when this controller first saw that it has a new primary. A stamp's own time
    is of another clock after a takeover.
    """

    facts: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    orders: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    led: tuple[str, float] | None = None

    def after(self, dcs: Dcs, now: float) -> Pulses:
        facts = {n: since(self.facts.get(n), f.seq, now) for n, f in dcs.facts.items()}
        orders = {n: since(self.orders.get(n), o.id, now) for n, o in dcs.orders.items()}
        incident = _open(dcs)
        led = incident is not None and any(incident.reached(p) for p in (Phase.PROMOTED, Phase.VIP_UP))
        return Pulses(facts, orders, since(self.led, incident.id, now) if incident and led else None)

    def led_for(self, dcs: Dcs, now: float) -> float:
        """Seconds that the open incident has been seen with a new primary."""
        incident = _open(dcs)
        known = self.led if incident is not None and self.led and self.led[0] == incident.id else None
        return now - known[1] if known else 0.0

    def fresh(self, dcs: Dcs, node: str, now: float) -> AgentFacts | None:
        """The node's report if its agent still writes it."""
        known, facts = self.facts.get(node), dcs.facts.get(node)
        if known is None or facts is None:
            return None
        return facts if now - known[1] <= PULSE + _MISSED * (facts.every - 1.0) else None

    def at_work(self, dcs: Dcs, node: str, now: float) -> bool:
        """The node's agent has an order that it has not answered yet."""
        order, done, known = dcs.orders.get(node), dcs.done.get(node), self.orders.get(node)
        if order is None or known is None or (done is not None and done.id == order.id):
            return False
        return now - known[1] < ORDER_ENDS


def since(before: tuple[_T, float] | None, value: _T, now: float) -> tuple[_T, float]:
    """A value, and since when it has been that one."""
    return before if before is not None and before[0] == value else (value, now)


def again(before: Seen | None, what: str, now: float) -> Seen:
    """One more look at a trouble; the time since the last one counts for how it looked then."""
    if before is None:
        return Seen(what, now)
    spent = {**before.spent, before.what: before.spent.get(before.what, 0.0) + now - before.last}
    looks = before.looks + 1 if before.what == what else 1
    return replace(before, what=what, last=now, looks=looks, spent=spent)


def used_up(dcs: Dcs, node: str, rung: str) -> bool:
    return dcs.budget.get((node, rung), 0) >= limit(rung)


def hands_off(dcs: Dcs, node: str, once: Phase = Phase.FIRST_COMMIT, *, led_for: float = 0.0) -> Veto | None:
    """What forbids any act on a node. `once`: what an open incident must have reached before.

    `led_for`: seconds that it has had its new primary. Where no commit is seen for so long the heartbeat
    itself may be broken; a victim that cannot join by itself must not wait for that for ever.
    """
    if dcs.paused or dcs.patroni.paused:
        who = "hactl" if dcs.paused else "Patroni"
        return Veto("PAUSED", f"{who} is paused")
    if dcs.incident is not None and led_for < CLOSE and not reached(dcs, once):
        return Veto("INCIDENT_OPEN", "an incident is open", dcs.incident[:80])
    if node in dcs.fences:
        return Veto("FENCED", f"{node} is fenced", f"epoch {dcs.fences[node].epoch}")
    if (work := left_alone(dcs, node)) is not None:
        return Veto("MAINTENANCE", f"{work.by} works on {node}", work.why)
    return None


def left_alone(dcs: Dcs, node: str) -> Maintenance | None:
    """The maintenance that forbids touching a node. Whoever leads is looked after, whatever was said."""
    leads = dcs.patroni.leader is not None and dcs.patroni.leader.node == node
    return None if leads else dcs.maintenance.get(node)


def reached(dcs: Dcs, phase: Phase) -> bool:
    """First commit: the service is back, and the incident waits for a standby, which is our work.

    Promoted: somebody leads, and the incident waits for what a dead or frozen unit may keep from serving.
    """
    incident = _open(dcs)
    return incident is not None and incident.reached(phase) is not None


def _open(dcs: Dcs) -> Incident | None:
    """The open incident; None also where nobody can read it."""
    try:
        return parse_incident(dcs.incident) if dcs.incident is not None else None
    except ValueError:
        return None
