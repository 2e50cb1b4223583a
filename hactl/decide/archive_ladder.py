"""Mending an archive node, one rung at a time: wait for the database, restart, drain, redeploy, say so aloud.

Only a node that does not serve is touched, one node at a time, and never on a guess: an act needs a failure
that was seen again and again, and a database that works meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from hactl.decide.archive_node import NodeLook, counts
from hactl.decide.archive_sql import WORKS
from hactl.decide.budgets import DRAIN, REDEPLOY, limit
from hactl.decide.pacing import Pulses, Seen, hands_off, used_up
from hactl.decide.plan import DrainArchive, GiveOrder, Step, UndrainArchive, Veto
from hactl.view.archive import DrainBy
from hactl.view.archive_kind import ABLE, Abilities, Ability
from hactl.view.archive_levels import Sight
from hactl.view.control import Dcs

LASTS: Final = 10.0  # seconds of failure, with a database that works, before anything is done
LASTS_PARTLY: Final = 30.0  # if a part of it still answers, which a restart would interrupt
STORAGE_LASTS: Final = 3.0  # the agent's own guard is faster; this is for when it has not acted
RESTARTS: Final = 2  # of one unit within an hour; the third one is left for a unit that has ended by itself
STEADY: Final = 30.0  # seconds that a drained node must serve before it is let in again
STARTS: Final = 20.0  # seconds that a node may take to serve after it was ordered to start
MOST_TAKERS: Final = 3  # named in a drain
_DOWN: Final = frozenset({"failed", "inactive"})


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a node that an act may mend. `units`: whose restart may help, in this order.

    `lasts` in seconds, `grace` how long it must. `database`: it may be the database's silence.
    """

    node: str
    what: str
    kind: str
    lasts: float = 0.0
    grace: float = STORAGE_LASTS
    units: tuple[str, ...] = ()
    database: bool = False


@dataclass(frozen=True)
class Scene:
    """All nodes, and what has been done of late. `acted`: when this controller last ordered something.

    `well`: since when this controller has seen a node serve, its storage included.
    """

    looks: Mapping[str, NodeLook]
    dcs: Dcs
    pulses: Pulses
    acted: Mapping[str, float]
    now: float
    can: Abilities = ABLE
    well: Mapping[str, float] = field(default_factory=dict)

    # Each is asked once for a thousand nodes, not once by each of them.
    @cached_property
    def able(self) -> tuple[str, ...]:
        return tuple(n for n, look in self.looks.items() if look.able)

    @cached_property
    def away(self) -> tuple[str, ...]:
        """Those that are on the way back from an act of ours."""
        return tuple(n for n in self.looks if self.returning(n))

    @cached_property
    def ladders(self) -> tuple[str, ...]:
        """Those that the ladder has drained."""
        return tuple(n for n, d in self.dcs.drains.items() if n in self.looks and d.by is DrainBy.LADDER)

    def takers(self, node: str) -> tuple[str, ...]:
        return tuple(n for n in self.able[: MOST_TAKERS + 1] if n != node)[:MOST_TAKERS]

    def returning(self, node: str) -> bool:
        """It has an order of ours, or had one a moment ago, and does not serve yet."""
        if self.looks[node].serves_since() is not None:
            return False
        return self.ordered(node) or self.pulses.at_work(self.dcs, node, self.now)

    def ordered(self, node: str) -> bool:
        """A moment ago, by this controller, or by the one before it: then its order still lies in etcd."""
        seen = self.pulses.orders.get(node)
        last = max(self.acted.get(node, -STARTS), seen[1] if seen else -STARTS)
        return self.now - last < STARTS


def trouble(look: NodeLook, now: float) -> Trouble | None:
    """The lowest level's trouble; None: nothing is known that anybody here could mend."""
    # A lost storage comes first: its guard may have stopped the rest, and must not be worked against.
    level = "L3" if look.levels["L3"].failed else look.failing()
    if level is None:
        return None
    what = f"{level}: {look.levels[level].why}"
    if level == "L3" and _full(look):  # all have the one storage: nobody could do better
        return None
    if level == "L3":  # how long it lasts is known to whoever keeps count
        return Trouble(look.node, what, "storage")
    bad = [s for s in look.sights.values() if s.route.level == level and counts(s, look.sql)]
    if not bad:
        return None
    # Who stands in front and does not wait for the database comes first.
    units = tuple(dict.fromkeys(s.route.unit for s in sorted(bad, key=_behind) if s.route.unit))
    partly = level != "L2" and any(s.probe.ok and s.route.level != "L0" for s in look.sights.values())
    return Trouble(
        look.node, what, level, lasts=now - min(s.since for s in bad),
        grace=LASTS_PARTLY if partly else LASTS, units=units, database=any(map(_behind, bad)),
    )  # fmt: skip


def _full(look: NodeLook) -> bool:
    own = look.archive
    return look.facts is not None and not look.facts.storage.failed and own is not None and own.room.failed


def _behind(sight: Sight) -> bool:
    return sight.route.database


def waits_for(look: NodeLook, found: Trouble) -> Veto | None:
    """Why it is too early: the database does not work, or has not for long enough."""
    if found.database and not look.sql.calm:
        seen = f"SQL has worked for {look.sql.works_for:.0f} s of {WORKS:.0f}"
        return Veto("DATABASE", f"{look.node} waits for the database: {seen}", look.sql.why)
    if found.lasts < found.grace:
        seen = f"{found.lasts:.0f} s of {found.grace:.0f}"
        return Veto("TOO_EARLY", f"{look.node} has failed for {seen}", found.what)
    return None


def next_rung(scene: Scene, found: Trouble) -> str:
    """The lowest rung that is left for this trouble; empty: none."""
    for rung in _rungs(found, scene.can):
        if rung == DRAIN:
            left = not scene.looks[found.node].kept_out and bool(scene.takers(found.node))
        else:
            left = scene.dcs.budget.get((found.node, rung), 0) < min(limit(rung), RESTARTS)
        if left and not used_up(scene.dcs, found.node, rung):
            return rung
    return ""


def _rungs(found: Trouble, can: Abilities) -> Iterator[str]:
    """Only those that this kind of archive has."""
    if Ability.RESTART in can.does:
        for unit in found.units:
            yield f"restart:{unit}"
    if Ability.DRAIN in can.does:
        yield DRAIN
    if found.units and Ability.REDEPLOY in can.does:
        yield REDEPLOY


def against(scene: Scene, found: Trouble, rung: str) -> list[Veto]:
    """Everything that speaks against this rung now."""
    node, look = found.node, scene.looks[found.node]
    vetoes = [hands_off(scene.dcs, node, led_for=scene.pulses.led_for(scene.dcs, scene.now))]
    if look.maintained:
        vetoes.append(Veto("MAINTENANCE", f"{node} is {look.kept_out}"))
    if look.facts is None:
        vetoes.append(Veto("AGENT_SILENT", f"{node}'s agent does not report"))
    if scene.pulses.at_work(scene.dcs, node, scene.now):
        vetoes.append(Veto("ORDER_AT_WORK", f"{node}'s agent has not ended its last order"))
    if rung != DRAIN and scene.ordered(node):
        vetoes.append(Veto("JUST_ORDERED", f"{node} was ordered to start a moment ago"))
    if early := waits_for(look, found):
        vetoes.append(early)
    vetoes += _others(scene, node, rung)
    if rung not in {"", DRAIN}:
        vetoes += _restarts(look, rung)
    return [veto for veto in vetoes if veto is not None]


def _restarts(look: NodeLook, rung: str) -> Iterator[Veto]:
    """What makes a restart or a redeployment wrong, whatever fails."""
    node = look.node
    if not look.reached:
        yield Veto("NOT_REACHED", f"nothing of {node} can be reached from here: it may be the network")
    if look.guarded:
        yield Veto("GUARDED", f"{node}'s agent keeps it out: {look.kept_out}")
    unit = rung.removeprefix("restart:")
    if look.facts is not None and look.facts.units.get(unit) in _DOWN:
        yield Veto("UNIT_DOWN", f"{unit} does not run on {node}: it is started as any unit is")


def _others(scene: Scene, node: str, rung: str) -> Iterator[Veto]:
    """Never two out by our own hand: nobody else may be on the way back from an act of ours."""
    if other := next((n for n in scene.away if n != node), ""):
        yield Veto("OTHER_AT_WORK", f"{other} has not come back from an order yet")
    if rung == DRAIN and (other := next((n for n in scene.ladders if n != node), "")):
        yield Veto("OTHER_DRAINED", f"{other} is {scene.looks[other].kept_out}")


def step(scene: Scene, found: Trouble, rung: str, seen: Seen) -> Step:
    node = found.node
    why = f"{node}: {found.what}, for {found.lasts:.0f} s"
    if rung == DRAIN:
        return Step(DrainArchive(node, found.what, scene.takers(node)), f"{why}; others can serve")
    if rung == REDEPLOY:
        return Step(GiveOrder(node, "redeploy-archive", rung=REDEPLOY), f"{why}; restarts did not help")
    unit = rung.removeprefix("restart:")
    return Step(GiveOrder(node, "restart", unit, rung), f"{why}; try {seen.tries + 1}")


def back(scene: Scene, look: NodeLook) -> Step | None:
    """What the ladder has drained is let in again when it has served for a while, or nobody else can."""
    if Ability.DRAIN not in scene.can.does:
        return None
    if look.drain is None or look.drain.by is not DrainBy.LADDER or hands_off(scene.dcs, look.node):
        return None
    if not scene.takers(look.node) and _better_than_nobody(look):
        return Step(UndrainArchive(look.node, "nobody else can serve"), f"{look.node}: nobody else can serve")
    since = scene.well.get(look.node)
    if since is None or scene.now - since < STEADY or used_up(scene.dcs, look.node, DRAIN):
        return None
    why = f"it has served for {scene.now - since:.0f} s"
    return Step(UndrainArchive(look.node, why), f"{look.node}: {why}")


def _better_than_nobody(look: NodeLook) -> bool:
    """It answers, and on the right storage, be it full: images can be read."""
    right = look.facts is not None and look.facts.storage.ok
    return right and all(look.levels[level].ok for level in ("L0", "L1", "L2"))
