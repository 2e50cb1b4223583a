"""The archive nodes: the state each is in, and what is done about it. Pure; docs/archive-health.md."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.decide import archive_ladder as ladder
from hactl.decide.archive_ladder import Scene, Trouble
from hactl.decide.archive_node import Around, NodeLook, next_state
from hactl.decide.archive_sql import Sql
from hactl.decide.pacing import Pulses, Seen, again
from hactl.decide.plan import GiveOrder, Plan, Step, Veto, alarm
from hactl.spec.model import ClusterSpec
from hactl.view.archive import GIVEN_UP, ArchiveMark, ArchiveState
from hactl.view.archive_kind import ABLE, Abilities
from hactl.view.archive_levels import Sights
from hactl.view.control import Dcs

GUARD_COUNTS: Final = ladder.LASTS_PARTLY  # seconds: by then a failure counts from its own beginning


@dataclass(frozen=True)
class ArchiveMemory:
    """`seen`: each node's trouble. `acted`: when it was last ordered to start anew. `marks`: as decided last.

    `well`: since when each has served in every look. `guarded`: when its agent kept it out last.
    All of it may be lost, as with the controller: what must not be repeated is counted in etcd.
    """

    pulses: Pulses = field(default_factory=Pulses)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    acted: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, ArchiveMark] = field(default_factory=dict)
    well: Mapping[str, float] = field(default_factory=dict)
    guarded: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ArchiveDecision:
    """`marks`: each node's state now. `looks`: what it rests on."""

    plan: Plan
    memory: ArchiveMemory
    marks: Mapping[str, ArchiveMark]
    looks: Mapping[str, NodeLook]


def decide_archive(  # noqa: PLR0913, PLR0917 - one thing each, and nobody else needs them together
    spec: ClusterSpec, sights: Mapping[str, Sights], dcs: Dcs, sql: Sql, memory: ArchiveMemory, now: float,
    can: Abilities = ABLE,
) -> ArchiveDecision:  # fmt: skip
    """At most one act for each call: the next one is decided when this one's effect is seen.

    `can`: what the archive's kind lets anybody do; nothing else is ever ordered.
    """
    pulses = memory.pulses.after(dcs, now)
    vip = str(spec.vips.archive.address.ip) if spec.vips.archive else ""
    looks = _looks(spec, sights, dcs, pulses, Around(vip, sql, now, can))
    well = {node: memory.well.get(node, now) for node, look in looks.items() if look.serves}
    kept_out = {node: now for node, look in looks.items() if look.guarded}
    guarded = {n: at for n, at in memory.guarded.items() if now - at < GUARD_COUNTS} | kept_out
    scene = Scene(looks, dcs, pulses, memory.acted, now, can, well)
    round_ = _Round(scene, memory, guarded)
    for node, look in scene.looks.items():
        round_.node(node, look)
    acted = {n: at for n, at in memory.acted.items() if now - at < ladder.STARTS} | round_.acted
    plan = Plan(tuple(round_.steps[:1]), tuple(round_.vetoes), alarms=tuple(round_.alarms))
    kept = ArchiveMemory(pulses, round_.seen, acted, round_.marks, well, guarded)
    return ArchiveDecision(plan, kept, round_.marks, scene.looks)


def _looks(
    spec: ClusterSpec, sights: Mapping[str, Sights], dcs: Dcs, pulses: Pulses, around: Around
) -> dict[str, NodeLook]:
    return {
        node: NodeLook.of(
            node, sights.get(node, {}), pulses.fresh(dcs, node, around.now), dcs.drains.get(node), around
        )
        for node in spec.archive_addresses
    }  # fmt: skip


@dataclass
class _Round:
    """Built by one call, never kept."""

    scene: Scene
    memory: ArchiveMemory
    guarded: Mapping[str, float]
    steps: list[Step] = field(default_factory=list)
    vetoes: list[Veto] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    acted: dict[str, float] = field(default_factory=dict)
    marks: dict[str, ArchiveMark] = field(default_factory=dict)

    def node(self, node: str, look: NodeLook) -> None:
        before = self.memory.marks.get(node) or self.scene.dcs.archive_states.get(node)
        state, why = next_state(before.state if before else None, look, starting=self.scene.returning(node))
        found = ladder.trouble(look, self.scene.now)
        rung = before.rung if before else ""
        if step := ladder.back(self.scene, look):
            self.steps.append(step)
        elif found is not None and self.scene.can.mended:
            rung = self._mend(found, rung)
        self.marks[node] = ArchiveMark(state, why, "" if state is ArchiveState.HEALTHY else rung)

    def _mend(self, found: Trouble, last: str) -> str:
        """The rung that was tried last, this one included."""
        scene, node = self.scene, found.node
        seen = self.seen[node] = again(self.memory.seen.get(node), found.kind, scene.now)
        if found.kind == "storage":
            found = dataclasses.replace(found, lasts=seen.lasts)
        elif node in self.guarded:  # what the guard itself stopped has not failed for as long
            found = dataclasses.replace(found, lasts=min(found.lasts, scene.now - self.guarded[node]))
        rung = ladder.next_rung(scene, found)
        vetoes = ladder.against(scene, found, rung)
        self.vetoes += vetoes
        if vetoes or seen.waits(scene.now):
            return last
        if not rung:
            return self._give_up(found, last)
        if self.steps:  # one act at a time; this one is decided anew
            return last
        step = ladder.step(scene, found, rung, seen)
        self.steps.append(step)
        self.seen[node] = seen.tried(scene.now)
        if isinstance(step.action, GiveOrder):
            self.acted[node] = scene.now
        return rung

    def _give_up(self, found: Trouble, last: str) -> str:
        """Nothing is left to try. A lost storage is a finding of its own: nothing was tried."""
        if found.kind == "storage":
            return last
        self.alarms.append(alarm("ARCHIVE_GIVEN_UP", found.node, found.what))
        return GIVEN_UP
