"""Which faults follow one another, drawn from a seed, and what must be true of them together. Pure."""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from hactl.drill.history import Asked
from hactl.drill.scenarios import ALWAYS, COPY, COPY_OTHER, SCENARIOS, Role, Scenario

GAP: Final = (2.0, 20.0)  # seconds between two faults
DURING: Final = (0.0, 2.0)  # seconds after Patroni was asked for a switchover
BETWEEN: Final = (0.0, 10.0)  # seconds between the two heals
TOGETHER: Final = 60.0  # seconds, the outage of two faults that leave a pair and a majority
HEALED: Final = 300.0  # of those that do not: until both are healed, booted and elected again

_DATABASES: Final = (Role.PRIMARY, Role.STANDBY)
_HOST: Final = frozenset({"power-off", "isolate", "freeze", "deaf", "voiceless", "loss", "narrow"})
# As long as it lasts, or a moment longer, the node has no vote in etcd.
_VOTE: Final = _HOST | {"cut-etcd", "kill-etcd", "freeze-etcd", "stall-etcd-disk"}
# Its PostgreSQL is no second copy, or does not serve.
_COPY: Final = _HOST | {
    "cut-etcd", "crash-postgres", "bar-postgres", "freeze-postgres", "hang-postgres", "stall-disk",
    "fill-disk", "damage-wal", "damage-control", "damage-page", "cut", "kill-patroni", "lose-patroni",
    "freeze-patroni", "lose-keepalived", "freeze-keepalived", "freeze-agent",
}  # fmt: skip


class Way(enum.StrEnum):
    """How a fault comes: by itself, after another, while a lost primary comes back, during a switchover."""

    ALONE = "alone"
    PAIR = "pair"
    REJOIN = "rejoin"
    SWITCHOVER = "switchover"


ODDS: Final = ((Way.PAIR, 50), (Way.REJOIN, 20), (Way.SWITCHOVER, 15), (Way.ALONE, 15))
# What makes a database node come back: a boot, a rewind. The second fault finds it at that.
BEFORE_REJOIN: Final = ("primary/power-off", "primary/isolate", "primary/crash-postgres")


@dataclass(frozen=True)
class Trial:
    """`second` strikes `gap` seconds after `first`; of a rejoin, after the first was healed.

    `between`: seconds from one heal to the other, negative when the second is healed first.
    """

    number: int
    way: Way
    first: str
    second: str = ""
    gap: float = 0.0
    between: float = 0.0

    @property
    def name(self) -> str:
        named = {
            Way.ALONE: self.first,
            Way.PAIR: f"{self.first}, {self.gap:g} s later {self.second}",
            Way.REJOIN: f"{self.second} {self.gap:g} s into the rejoin after {self.first}",
            Way.SWITCHOVER: f"{self.first} {self.gap:g} s into a switchover",
        }
        return named[self.way]


@dataclass(frozen=True)
class Nodes:
    """By role."""

    databases: tuple[str, ...]
    witnesses: tuple[str, ...]
    archives: tuple[str, ...]

    def may_be(self, role: Role) -> tuple[str, ...]:
        if role in _DATABASES:
            return self.databases
        if role is Role.ARCHIVE:
            return self.archives
        return self.witnesses if role is Role.WITNESS else (*self.databases, *self.witnesses)


@dataclass(frozen=True)
class Combined(Scenario):
    """A trial's scenario: `allowed` are acts by node already, for who has a role may change in between."""

    label: str = ""
    allowed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.label

    def asked(self, node: str, other: str, blind: tuple[str, ...] = ()) -> Asked:
        return replace(super().asked(node, other, blind), acts=self.allowed)


def named(name: str) -> Scenario:
    return next(s for s in SCENARIOS if s.name == name)


def recorded(line: Mapping[str, Any]) -> Trial:
    """As it was. Lines from before there were its parts have them in their name.

    Raises ValueError: a part names no scenario that there is.
    """
    trial = Trial(
        line["number"], Way(line["way"]), *_parts(line), line.get("gap", 0.0), line.get("between", 0.0)
    )
    for name in filter(None, (trial.first, trial.second)):
        if name not in {s.name for s in SCENARIOS}:
            raise ValueError(f"trial {trial.number}: there is no scenario {name!r} any more")
    return trial


def _parts(line: Mapping[str, Any]) -> tuple[str, str]:
    if "first" in line:
        return line["first"], line["second"]
    if line["way"] != Way.ALONE:
        raise ValueError(f"trial {line['number']} ({line['trial']}): its line does not say its parts")
    return line["trial"], ""


def singles(seed: int) -> list[Trial]:
    """Each scenario once, in an order of the seed's: nothing may depend on what was before."""
    names = [s.name for s in SCENARIOS]
    random.Random(seed).shuffle(names)  # noqa: S311 - not for secrets
    return [Trial(n, Way.ALONE, name) for n, name in enumerate(names, 1)]


def soak(seed: int) -> Iterator[Trial]:
    """Without end. The trial of a number depends on seed and number only, so that it can be had again."""
    number = 0
    while True:
        number += 1
        yield drawn(seed, number)


def drawn(seed: int, number: int) -> Trial:
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - not for secrets
    way = chance.choices([w for w, _ in ODDS], [o for _, o in ODDS])[0]
    one = [s.name for s in SCENARIOS if fits(s)]
    if way is Way.ALONE:
        return Trial(number, way, chance.choice([s.name for s in SCENARIOS]))
    if way is Way.SWITCHOVER:
        return Trial(number, way, chance.choice(one), gap=_seconds(chance, DURING))
    first, second = chance.sample(one, 2)
    if way is Way.REJOIN:
        return Trial(number, way, chance.choice(BEFORE_REJOIN), second, _seconds(chance, GAP))
    between = _seconds(chance, BETWEEN) * chance.choice((1, -1))
    return Trial(number, way, first, second, _seconds(chance, GAP), between)


def _seconds(chance: random.Random, limits: tuple[float, float]) -> float:
    return round(chance.uniform(*limits), 1)


def fits(scenario: Scenario) -> bool:
    """Whether another fault beside it says anything; one that leaves no service until it is healed: no."""
    return not scenario.away


def expected(trial: Trial, nodes: Nodes) -> Scenario:
    """What both together may cost, and what hactl may do about them."""
    first = named(trial.first)
    if trial.way is Way.ALONE:
        return first
    second = named(trial.second) if trial.second else None
    both = [s for s in (first, second) if s]
    away = second is not None and leaves_too_little(first, second)
    own = {f.name: getattr(first, f.name) for f in fields(first)}
    own |= {
        "says": trial.name, "limit": HEALED if away else TOGETHER, "failovers": failovers(trial, both),
        "images": any(s.images for s in both), "away": away, "images_limit": HEALED if away else TOGETHER,
    }  # fmt: skip
    return Combined(**own, label=label(trial), allowed=allowed(trial, both, nodes))


def label(trial: Trial) -> str:
    """Short, and good for a file's name."""
    return f"{trial.way}/{'-then-'.join(filter(None, (trial.first, trial.second)))}"


def leaves_too_little(first: Scenario, second: Scenario) -> bool:
    """Whether both together may leave no copy that may serve, or no majority in etcd."""
    votes = [s for s in (first, second) if s.role is not Role.ARCHIVE and s.fault in _VOTE]
    copies = [s for s in (first, second) if s.role in _DATABASES and s.fault in _COPY]
    return len(votes) == 2 or len(copies) == 2


def failovers(trial: Trial, both: Sequence[Scenario]) -> tuple[int, int]:
    """Least and most. A second fault may prevent the first one's failover; a switchover may not come off."""
    most = sum(s.failovers[1] for s in both)
    if trial.way is Way.SWITCHOVER:
        return 0, 1 + most
    if trial.way is Way.REJOIN:
        return both[0].failovers[0], most
    quiet = [s for s in both if s.role is Role.ARCHIVE]
    return (sum(s.failovers[0] for s in both) if quiet else 0), most


def allowed(trial: Trial, both: Sequence[Scenario], nodes: Nodes) -> tuple[str, ...]:
    """Of a role that more nodes may have by then, for each of them."""
    found: list[str] = list(ALWAYS)
    for scenario in both:
        found += _formatted(scenario.acts, nodes.may_be(scenario.role), nodes)
    if any(s.role in _DATABASES for s in both):
        found += _formatted((*COPY, *COPY_OTHER), nodes.databases, nodes)
    if trial.way is Way.SWITCHOVER:
        found += [f"switchover {n}" for n in nodes.databases] + ["switchover"]
    return tuple(dict.fromkeys(found))


def _formatted(acts: Sequence[str], candidates: Sequence[str], nodes: Nodes) -> tuple[str, ...]:
    pairs = [(n, next((o for o in nodes.databases if o != n), "")) for n in candidates]
    return tuple(dict.fromkeys(a.format(node=n, other=o) for a in acts for n, o in pairs))
