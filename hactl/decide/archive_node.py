"""One archive node as the decision sees it, and the state it is in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.decide.archive_sql import Sql
from hactl.view.archive import ArchiveFacts, ArchiveState, Drain, DrainBy
from hactl.view.archive_kind import ABLE, Abilities
from hactl.view.archive_levels import Sight, Sights, levels
from hactl.view.control import AgentFacts
from hactl.view.model import Probe, State

# How often in a row a level must have failed before it counts. A lost storage is checked by the agent itself.
FALL: Final[Mapping[str, int]] = {"L0": 2, "L1": 2, "L2": 3, "L3": 1}
RISE: Final = 2  # how often in a row every route must have answered before a node that did not serve serves
_BACK: Final = frozenset({ArchiveState.HEALTHY, ArchiveState.DEGRADED})


@dataclass(frozen=True)
class Around:
    """What all nodes have in common: the archive's virtual IP (empty: none), database, time, kind."""

    vip: str
    sql: Sql
    now: float
    can: Abilities = ABLE


@dataclass(frozen=True)
class NodeLook:
    """Everything known of one node now. `facts` None: its agent does not report."""

    node: str
    sights: Sights
    facts: AgentFacts | None
    drain: Drain | None
    holds_vip: bool | None
    sql: Sql
    levels: Mapping[str, Probe] = field(default_factory=dict)
    can: Abilities = ABLE

    @classmethod
    def of(
        cls, node: str, sights: Sights, facts: AgentFacts | None, drain: Drain | None, around: Around
    ) -> NodeLook:
        fresh = {name: sight.now(around.now) for name, sight in sights.items()}
        holds = None if facts is None else around.vip in facts.vips
        found = levels(fresh, facts, around.can)
        return cls(node, fresh, facts, drain, holds, around.sql, found, around.can)

    @property
    def archive(self) -> ArchiveFacts | None:
        return None if self.facts is None else self.facts.archive

    @property
    def kept_out(self) -> str:
        """Why it is to stay out of the VIP; empty: it is not."""
        if self.drain is not None:
            return f"drained by {self.drain.by}: {self.drain.why}".rstrip(": ")
        own = self.archive
        if own is not None and (own.out or own.refusing):
            return own.out_for or "its agent keeps it out"
        return ""

    @property
    def guarded(self) -> bool:
        """Its own agent keeps it out, because of its storage."""
        return self.archive is not None and bool(self.archive.out_for)

    @property
    def gone(self) -> bool:
        """Its agent says that it is out, and that it does not have the address."""
        return self.archive is not None and self.archive.out and self.holds_vip is False

    @property
    def maintained(self) -> bool:
        """Somebody works on it, or is about to: nothing of it is ours to mend."""
        return self.drain is not None and self.drain.by in {DrainBy.OPERATOR, DrainBy.DEPLOY}

    @property
    def able(self) -> bool:
        """It is known to serve, and nobody keeps it out: it can take over from another."""
        return not self.kept_out and self.serves

    @property
    def serves(self) -> bool:
        """Every level that decides it is ok. L4 does not: it is said aloud, and nothing is done about it."""
        return all(self.levels[level].ok for level in self.can.serving)

    def serves_since(self) -> float | None:
        """Since when all of its routes answer; None: they do not all."""
        if not self.serves:
            return None
        return max((s.since for s in self.sights.values()), default=None)

    @property
    def reached(self) -> bool:
        """Something there answers from here, if only to refuse."""
        return any(s.answer.reached for s in self.sights.values())

    def failing(self) -> str | None:
        """The lowest level that fails."""
        return next((level for level in self.can.serving if self.levels[level].failed), None)

    def firm(self, level: str) -> bool:
        """It failed often enough, and not because the database fails over."""
        if level == "L3":
            return True
        return any(counts(sight, self.sql) for sight in self.sights.values() if sight.route.level == level)


def counts(sight: Sight, sql: Sql) -> bool:
    """A failure that is the node's own, not one lost answer, nor the database's while it is away."""
    if not sight.probe.failed or sight.in_row < FALL[sight.route.level]:
        return False
    return not (sight.route.database and sql.fails_over)


def next_state(
    before: ArchiveState | None, look: NodeLook, *, starting: bool = False
) -> tuple[ArchiveState, str]:
    """The state that follows, and why. Unknown makes no node failed, and none healthy.

    `starting`: it was ordered to start a moment ago.
    """
    if look.kept_out:
        silent = "" if look.facts else "; its agent does not report"
        state = ArchiveState.DRAINED if look.gone else ArchiveState.DRAINING
        return state, look.kept_out + silent
    level = look.failing()
    if level is not None:
        firm = look.firm(level) and not starting
        why = f"{level}: {look.levels[level].why}"
        return (ArchiveState.FAILED if firm else _not_all(before, starting=starting)), why
    unknown = next((lv for lv in look.can.serving if look.levels[lv].state is State.UNKNOWN), None)
    if unknown is not None:
        return _not_all(before, starting=starting), f"{unknown}: {look.levels[unknown].why}"
    return _answering(before, look)


def _not_all(before: ArchiveState | None, *, starting: bool) -> ArchiveState:
    """Something is missing: who served is degraded; who did not is not better for it."""
    if starting or before is None or before is ArchiveState.STARTING:
        return ArchiveState.STARTING
    return before if before is ArchiveState.FAILED else ArchiveState.DEGRADED


def _answering(before: ArchiveState | None, look: NodeLook) -> tuple[ArchiveState, str]:
    if before not in _BACK and any(s.in_row < RISE for s in look.sights.values()):
        return ArchiveState.STARTING, "it answers, and has not done so for long"
    if look.levels["L4"].failed:
        return ArchiveState.DEGRADED, f"L4: {look.levels['L4'].why}"
    return ArchiveState.HEALTHY, ""
