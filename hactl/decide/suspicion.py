"""Is a primary lost? Three of four independent ways to see it must fail, four looks in a row each.

A path that never answered this controller counts neither way, and so does the alive key of a node that is not
in mode leased: nobody renews it there.
"""

from __future__ import annotations

from dataclasses import dataclass

from hactl.decide import limits
from hactl.decide.memory import FailoverMemory, Opening
from hactl.view.control import ControlView, Dcs, FenceIntent, Mode, Path, PathState
from hactl.view.model import Unknown


@dataclass(frozen=True)
class Suspicion:
    """`failing` and `answering` are the paths that count; `grey`: why it does not serve though it answers."""

    node: str
    failing: tuple[Path, ...] = ()
    answering: tuple[Path, ...] = ()
    grey: str = ""

    @property
    def holds(self) -> bool:
        return bool(self.node) and (bool(self.grey) or len(self.failing) >= limits.PATHS)

    @property
    def said(self) -> str:
        if self.grey:
            return f"{self.node} is suspected by grey failure: {self.grey}"
        paths = ", ".join(self.failing) or "no path"
        return f"{len(self.failing)} of {len(Path)} paths to {self.node} fail: {paths}"


def assess(view: ControlView, dcs: Dcs | Unknown, memory: FailoverMemory) -> Suspicion:
    """The leader of the look; without a usable look, of the last good one."""
    if isinstance(dcs, Unknown):
        node = memory.good.leader.node if memory.good else ""
        leased = True
    else:
        node = dcs.patroni.leader.node if dcs.patroni.leader else ""
        leased = dcs.modes.get(node) is Mode.LEASED
    paths = view.paths.get(node, {})
    counted = {p: s for p, s in paths.items() if _counts(s) and (leased or p is not Path.ALIVE_KEY)}
    failing = tuple(p for p in Path if p in counted and fails(counted[p]))
    answering = tuple(p for p in Path if p in counted and p not in failing)
    return Suspicion(node, failing, answering, view.grey.get(node, ""))


def _counts(state: PathState) -> bool:
    return state.last_ok is not None


def fails(state: PathState) -> bool:
    return state.misses >= limits.MISSES


def probed(view: ControlView, node: str) -> bool:
    """Whether this controller has asked the node's Patroni at all: one that just took over has not."""
    state = view.paths.get(node, {}).get(Path.PATRONI)
    return state is not None and (state.misses > 0 or state.last_ok is not None)


def signs_of_life(
    view: ControlView, dcs: Dcs, intent: FenceIntent, memory: FailoverMemory, since: float
) -> tuple[str, ...]:
    """What the victim has shown of itself since `since` (monotonic); its own fenced report is none.

    Who opened the incident knows which paths answered all along: those are none either. A node that is
    suspected because it answers and does not serve shows nothing by answering: only by serving, or by a lease
    that it could not have renewed.
    """
    opening = memory.opening if memory.opening and memory.opening.epoch == intent.epoch else None
    if (opening and opening.grey) or intent.node in view.grey:
        renewal = memory.renewals.get(intent.node)
        renewed = ["it renewed its lease after the intent"] if renewal and renewal.at > since else []
        return (*renewed, *_commits(view, intent.node, since))
    found = [
        f"{path} answered"
        for path in (Path.PATRONI, Path.POSTGRES)
        if _answered(view, intent.node, path, opening, since)
    ]
    key = dcs.alive.get(intent.node)
    if opening and opening.alive is not None and key is not None and key.mod_revision != opening.alive:
        found.append("it renewed its lease just before the intent")
    return (*found, *_commits(view, intent.node, since))


def _commits(view: ControlView, node: str, since: float) -> tuple[str, ...]:
    beat = view.heartbeat
    came = beat.node == node and beat.last_ok is not None and beat.last_ok > since
    return ("a commit through the VIP reached it",) if came else ()


def _answered(view: ControlView, node: str, path: Path, opening: Opening | None, since: float) -> bool:
    state = view.paths.get(node, {}).get(path)
    if state is None or state.misses or state.last_ok is None or state.last_ok <= since:
        return False
    return opening is None or path in opening.failing
