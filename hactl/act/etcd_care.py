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
            _wait_well(care, voters, step)


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


def _wait_well(care: EtcdCare, voters: Sequence[str], step: Step) -> None:
    """Until every member answers, and all name one leader: the next one may be busy then."""
    end = time.monotonic() + WELL_WITHIN
    while True:
        found = look(care, voters)
        leaders = {s.leader_id for s in found.values() if isinstance(s, EtcdStatus)}
        away = [n for n, s in found.items() if isinstance(s, Unknown)]
        led_on = isinstance(step, HandOver) and leaders != {step.member_id}
        if not away and len(leaders) == 1 and leaders != {""} and not led_on:
            return
        if time.monotonic() > end:
            raise StepFailed(
                f"etcd was not well again {WELL_WITHIN:g} s later ({step})", hint="hactl etcd show"
            )
        time.sleep(PAUSE)
