"""An archive node's levels: from answers on each route, and from what its agent reports. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from hactl.view.archive_kind import ABLE, Abilities
from hactl.view.control import AgentFacts
from hactl.view.model import Probe, State, Unknown

CHECK_OLD: Final = 300.0  # seconds; there is an end-to-end check each minute
FAILS_OVER: Final = "not asked while the database fails over"
NO_AGENT: Final = Probe(State.UNKNOWN, "measured by the node's agent, which does not report")


@dataclass(frozen=True)
class Route:
    """A way to ask a node. `unit`: whose restart may help when it fails; empty: nobody's.

    `database`: the answer waits for the database, or for who waits for it.
    """

    name: str
    level: str
    unit: str = ""
    database: bool = True


@dataclass(frozen=True)
class Answer:
    """What came of one question. Not `reached`: not even a refusal came, so the network may be at fault."""

    probe: Probe
    reached: bool = True


@dataclass(frozen=True)
class Sight:
    """The last answer on one route. Times are monotonic seconds.

    `in_row`: answers of this kind in a row, the first of them asked for at `since`. Nothing is known any
    more after `until`: the next one should have come.
    """

    route: Route
    answer: Answer
    at: float
    until: float
    in_row: int = 1
    since: float = 0.0

    @property
    def probe(self) -> Probe:
        return self.answer.probe

    @classmethod
    def after(cls, before: Sight | None, route: Route, answer: Answer, *, at: float, until: float) -> Sight:
        if before is None or before.probe.state is not answer.probe.state:
            return cls(route, answer, at, until, 1, at)
        return cls(route, answer, at, until, before.in_row + 1, before.since)

    def now(self, now: float) -> Sight:
        """As it is at `now`: an answer that is too old is none."""
        if now <= self.until:
            return self
        why = f"no answer for {now - self.at:.0f} s: {self.probe.why}".rstrip(": ")
        answer = Answer(Probe(State.UNKNOWN, why), reached=False)
        return Sight(self.route, answer, self.at, self.until, 0, self.until)


Sights = Mapping[str, Sight]  # by the route's name


def level_of(sights: Sights, level: str) -> Probe:
    """The worst of a level's routes. A level that no route speaks for is unknown."""
    return worst([s.probe for s in sights.values() if s.route.level == level])


def worst(probes: Iterable[Probe]) -> Probe:
    """A failure tells more than a silence, a silence more than an answer."""
    found = list(probes)
    for state in (State.FAILED, State.UNKNOWN):
        if seen := next((p for p in found if p.state is state), None):
            return seen
    return found[0] if found else Probe(State.UNKNOWN, "not asked yet")


def storage_level(facts: AgentFacts | None) -> Probe:
    """L3: the storage is the right one, has room, and takes what is written."""
    if facts is None:
        return NO_AGENT
    if facts.archive is None:  # an agent that does not look at more
        return facts.storage
    return worst((facts.storage, facts.archive.write, facts.archive.room))


def end_to_end_level(facts: AgentFacts | None) -> Probe:
    """L4: the last check that an image goes in, is found, comes back unchanged, and can be removed."""
    if facts is None or facts.archive is None:
        return NO_AGENT
    check = facts.archive.last_check
    if isinstance(check, Unknown):
        return Probe(State.UNKNOWN, check.why)
    age = max(0.0, facts.boottime - check.at)
    if age > CHECK_OLD:
        return Probe(State.UNKNOWN, f"the last check was {age / 60:.0f} min ago")
    if not check.ok:
        return Probe(State.FAILED, check.why)
    return Probe(State.OK, f"{sum(check.took.values()):.2f} s, {age:.0f} s ago")


def by_agent(facts: AgentFacts | None, can: Abilities = ABLE) -> dict[str, Probe]:
    """L3 and L4, by name; of a kind that shows them to nobody, why."""
    found = {"L3": storage_level(facts), "L4": end_to_end_level(facts)}
    return {level: unseen(can, level) or probe for level, probe in found.items()}


def unseen(can: Abilities, level: str) -> Probe | None:
    why = can.unseen.get(level)
    return None if why is None else Probe(State.UNKNOWN, why)


def levels(sights: Sights, facts: AgentFacts | None, can: Abilities = ABLE) -> dict[str, Probe]:
    """All five, by name."""
    asked = {level: level_of(sights, level) for level in ("L0", "L1", "L2")}
    return {**asked, **by_agent(facts, can)}
