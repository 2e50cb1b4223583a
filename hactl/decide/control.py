"""Where the controller and etcd's leader should be: off the primary's host, so that neither dies with it."""

from __future__ import annotations

from dataclasses import dataclass

from hactl.decide import limits
from hactl.decide.plan import MoveEtcdLeader, Plan, Step, YieldControl
from hactl.spec.model import ClusterSpec
from hactl.view.control import ControlView, Dcs, Path
from hactl.view.control_text import parse_incident
from hactl.view.incident import Phase
from hactl.view.model import Unknown


@dataclass(frozen=True)
class ControlMemory:
    moved: float | None = None
    yielded: float | None = None


def decide_control(
    spec: ClusterSpec, view: ControlView, memory: ControlMemory, now: float
) -> tuple[Plan, ControlMemory]:
    """At most one of the two steps, and only while nothing else is going on."""
    dcs = view.dcs
    if isinstance(dcs, Unknown) or not view.holding or now - view.dcs_at > limits.LOOK_AGE:
        return Plan(), memory
    primary = dcs.patroni.leader.node if dcs.patroni.leader else ""
    if not primary or not _quiet(dcs, view, primary):
        return Plan(), memory
    target = _voter(spec, view, primary)
    if view.etcd_leader == primary and target and _due(memory.moved, limits.ETCD_MOVE, now):
        why = f"etcd's leader is on {primary} with the primary: both would be lost at once"
        return Plan((Step(MoveEtcdLeader(target), why),)), ControlMemory(now, memory.yielded)
    others = [n for n in dcs.standing_by if n not in {primary, view.me}]
    if view.me == primary and others and _due(memory.yielded, limits.YIELD, now):
        why = f"{view.me} is the primary's node and {others[0]} stands by"
        return Plan((Step(YieldControl(why), why),)), ControlMemory(memory.moved, now)
    return Plan(), memory


def _due(last: float | None, every: float, now: float) -> bool:
    return last is None or now - last >= every


def _quiet(dcs: Dcs, view: ControlView, primary: str) -> bool:
    """Nothing paused, the primary answers, and no incident that still waits for its first commit.

    An incident that only waits for its victim may stay open for hours; the next controller goes on with it.
    """
    if dcs.paused or dcs.patroni.paused or primary in dcs.fences:
        return False
    if any(state.misses for state in view.paths.get(primary, {}).values()):
        return False
    if dcs.incident is None:
        return True
    try:
        return parse_incident(dcs.incident).reached(Phase.FIRST_COMMIT) is not None
    except ValueError:
        return False


def _voter(spec: ClusterSpec, view: ControlView, primary: str) -> str:
    """A witness before a database node; only one whose etcd answers this controller now."""
    wanted = sorted((n for n in spec.voters if n != primary), key=lambda n: n not in spec.witnesses)
    for node in wanted:
        state = view.paths.get(node, {}).get(Path.ETCD_PEER)
        if state is not None and state.misses == 0 and state.last_ok is not None:
            return node
    return ""
