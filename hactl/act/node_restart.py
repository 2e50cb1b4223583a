"""Carries out what decide/restart.py plans: one step at a time, each looked at before and after."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, assert_never

from hactl.decide import restart as decide
from hactl.decide.node_actions import itself
from hactl.decide.plan import Veto
from hactl.decide.restart import RestartArchive, RestartEtcd, RestartPostgres, RestartUnit, Step, SwitchOver
from hactl.errors import HactlError, StepFailed
from hactl.ports import Clock
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs

CLEAR_WITHIN: Final = 60.0  # s until all is well enough for the next step
INTERRUPTED: Final = "interrupted"  # what `ended` is told then
STREAMS_WITHIN: Final = 120.0
POLL: Final = 0.3


@dataclass(frozen=True)
class Means:
    """Each raises HactlError. `postgres`: through Patroni. `switch`, `archive`, `etcd`: to their end.

    `begun`, `ended`: a step, for the journal.
    """

    look: Callable[[], ClusterView]
    postgres: Callable[[RestartPostgres], None]
    switch: Callable[[SwitchOver], None]
    archive: Callable[[str], None]
    etcd: Callable[[str], None]
    unit: Callable[[str, str], None]
    begun: Callable[[Step], None]
    ended: Callable[[Step, str], None]
    clock: Clock
    say: Callable[[str], None]


def run(spec: ClusterSpec, steps: tuple[Step, ...], means: Means) -> None:
    """Stop at the first surprise.

    Raises:
        HactlError: what the first step raised, if it was the only one or nothing came before it.
        StepFailed: names the last step that was done.

    """
    done: Step | None = None
    for number, step in enumerate(steps, 1):
        try:
            if done is not None:
                _wait_clear(spec, step, means)
            means.say(f"{number}/{len(steps)}: {step}")
            _recorded(step, means)
        except KeyboardInterrupt:
            means.say(f"interrupted at: {step}; last step done: {done or 'none'}")
            raise
        except HactlError as error:
            if done is None:
                raise
            raise StepFailed(
                f"{step}: {_said(error)}", last_done=str(done), hint=error.hint or "hactl status"
            ) from error
        done = step


def _recorded(step: Step, means: Means) -> None:
    try:
        means.begun(step)
        try:
            _do(step, means)
        except HactlError as error:
            means.ended(step, _said(error))
            raise
        means.ended(step, "")
    except KeyboardInterrupt:
        means.ended(step, INTERRUPTED)
        raise


def _do(step: Step, means: Means) -> None:
    match step:
        case RestartPostgres():
            _postgres(step, means)
        case SwitchOver(node, _):
            before = _started(means, node)
            means.switch(step)
            if before and _started(means, node) == before:  # Patroni found a way without a stop
                _postgres(RestartPostgres(node), means)
        case RestartArchive(node):
            means.archive(node)
        case RestartEtcd(node):
            means.etcd(node)
        case RestartUnit(node, unit):
            means.unit(node, unit)
        case _:
            assert_never(step)


def _postgres(step: RestartPostgres, means: Means) -> None:
    node = step.node
    view = means.look()
    streamed, sync = streams(view, node), _named(view, node)
    means.postgres(step)
    if step.primary:
        well = wait(means, lambda v: derive.primary(v) == node, STREAMS_WITHIN)
        wanted = "is a writable primary"
    elif streamed:
        well = wait(means, lambda v: streams(v, node) and (_named(v, node) or not sync), STREAMS_WITHIN)
        wanted = "streams as before"
    else:
        return
    if not well:
        raise StepFailed(
            f"it is not so after {STREAMS_WITHIN:g} s that {node} {wanted}",
            last_done=f"PostgreSQL on {node} was restarted",
            hint="hactl status; hactl doctor",
        )


def streams(view: ClusterView, node: str) -> bool:
    member = next((m for m in derive.members(view) if m.name == node), None)
    return member is not None and member.state == "streaming"


def follows(view: ClusterView, node: str) -> bool:
    """It streams, and is named as synchronous: the primary could be lost now."""
    return streams(view, node) and _named(view, node)


def _named(view: ClusterView, node: str) -> bool:
    return isinstance(view.control, Dcs) and node in view.control.patroni.sync_standbys


def _started(means: Means, node: str) -> str:
    found = itself(means.look(), node)
    return found.started if found else ""


def wait(means: Means, true: Callable[[ClusterView], bool], within: float) -> bool:
    """Whether a look in time showed it."""
    until = means.clock.monotonic() + within
    while True:
        if true(means.look()):
            return True
        if means.clock.monotonic() > until:
            return False
        time.sleep(POLL)


def _wait_clear(spec: ClusterSpec, step: Step, means: Means) -> None:
    """What the last step has moved may need a moment. Raises StepFailed: it does not settle."""
    vetoes: tuple[Veto, ...] = ()

    def clear(view: ClusterView) -> bool:
        nonlocal vetoes
        vetoes = decide.against(spec, view, step)
        return not vetoes

    if not wait(means, clear, CLEAR_WITHIN):
        said = "; ".join(f"{v.code}: {v.why}" for v in vetoes)
        raise StepFailed(f"not begun: {said}")


def _said(error: HactlError) -> str:
    vetoes = getattr(error, "vetoes", ())
    return f"{error.message}: {'; '.join(vetoes)}" if vetoes else error.message
