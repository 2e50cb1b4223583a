"""Carries out what decide/etcd_care.py plans, and looks after each step whether it may go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import assert_never

from hactl.decide.etcd_care import Compact, Defragment, Disarm, HandOver, Step
from hactl.errors import StepFailed, Unreachable
from hactl.ports import EtcdCare
from hactl.view.model import EtcdStatus, Unknown

LOOK_WITHIN = 2.0
STEP_WITHIN = 10.0
DEFRAGMENT_WITHIN = 180.0  # s: a slow disk copies 2 GiB, the most that there can be
WELL_WITHIN = 60.0
PAUSE = 0.2


def look(care: EtcdCare, voters: Sequence[str]) -> dict[str, EtcdStatus | Unknown]:
    found: dict[str, EtcdStatus | Unknown] = {}
    for node in voters:
        try:
            found[node] = care.status(node, within=LOOK_WITHIN)
        except Unreachable as error:
            found[node] = Unknown(error.message)
    return found


def run(care: EtcdCare, steps: Sequence[Step], voters: Sequence[str], say: Callable[[Step], None]) -> None:
    """Raises StepFailed, Unreachable: the rest was not begun; all of it can be done once more."""
    for step in steps:
        say(step)
        _do(care, step)
        if isinstance(step, Defragment | HandOver):
            wait_well(care, voters, str(step), lead_by=step.member_id if isinstance(step, HandOver) else "")


def leave(care: EtcdCare, node: str, voters: Sequence[str], prefer: Sequence[str] = ()) -> str:
    """Hand leadership to another voter that answers, the first in `prefer`; empty: `node` does not lead.

    Raises StepFailed, Unreachable.
    """
    found = {n: s for n, s in look(care, voters).items() if isinstance(s, EtcdStatus)}
    own = found.get(node)
    to = next((n for n in (*prefer, *voters) if n in found and n != node), "")
    if own is None or own.member_id != own.leader_id or not to:
        return ""
    care.move_leader(found[to].member_id, within=STEP_WITHIN)
    wait_well(care, tuple(found), f"hand leadership to {to}", lead_by=found[to].member_id)
    return to


def _do(care: EtcdCare, step: Step) -> None:
    match step:
        case Compact():
            care.compact(care.range("/", within=STEP_WITHIN).revision, within=STEP_WITHIN)
        case Defragment(node):
            care.defragment(node, within=DEFRAGMENT_WITHIN)
        case HandOver():
            care.move_leader(step.member_id, within=STEP_WITHIN)
        case Disarm(alarm):
            care.disarm(alarm, within=STEP_WITHIN)
        case _:
            assert_never(step)


def wait_well(care: EtcdCare, voters: Sequence[str], after: str, *, lead_by: str = "") -> None:
    """Until every member answers, and all name one leader: the next one may be busy then.

    `lead_by`: the id of who shall lead. Raises StepFailed, which names what it was done `after`.
    """
    end = time.monotonic() + WELL_WITHIN
    while True:
        found = look(care, voters)
        leaders = {s.leader_id for s in found.values() if isinstance(s, EtcdStatus)}
        away = [n for n, s in found.items() if isinstance(s, Unknown)]
        led_on = bool(lead_by) and leaders != {lead_by}
        if not away and len(leaders) == 1 and leaders != {""} and not led_on:
            return
        if time.monotonic() > end:
            raise StepFailed(
                f"etcd was not well again {WELL_WITHIN:g} s later ({after})", hint="hactl etcd show"
            )
        time.sleep(PAUSE)
