"""Hands off, and hands on again; mutes: keys in etcd that end by themselves."""

from __future__ import annotations

import math
from typing import Final

from hactl.act.maintenance import WITHIN, Operator
from hactl.errors import Refused
from hactl.view.kv import Delete, Pair, Put, absent, revision_is
from hactl.view.mute import Mute
from hactl.view.parse.by_hand import mute_text, pause_text
from hactl.view.pause import Pause

TRIES: Final = 3  # the controller may write down at this very moment how much of it is left (act/ends.py)


def standing(operator: Operator, key: str) -> Pair | None:
    """Raises Unreachable."""
    return operator.kv.range(key, within=WITHIN).first


def pause(operator: Operator, wanted: Pause, seconds: float) -> None:
    """In place of what stands there. Raises Refused: it has just changed; StepFailed, Unreachable."""
    _put(operator, operator.keys.paused, pause_text(wanted), seconds)


def resume(operator: Operator) -> bool:
    """Whether it was paused. Raises Refused: it has just changed; StepFailed, Unreachable."""
    return _delete(operator, operator.keys.paused)


def mute(operator: Operator, wanted: Mute, seconds: float) -> None:
    """As `pause`."""
    _put(operator, operator.keys.mute(wanted.code, wanted.subject), mute_text(wanted), seconds)


def unmute(operator: Operator, code: str, subject: str) -> bool:
    """Whether it was muted. Raises as `resume`."""
    return _delete(operator, operator.keys.mute(code, subject))


def _put(operator: Operator, key: str, text: str, seconds: float) -> None:
    kv = operator.kv
    lease = kv.grant(math.ceil(seconds), within=WITHIN)
    for _ in range(TRIES):
        before = standing(operator, key)
        unchanged = absent(key) if before is None else revision_is(key, before.mod_revision)
        if kv.txn((*operator.ours(), unchanged), (Put(key, text, lease),), within=WITHIN).succeeded:
            if before is not None and before.lease:
                kv.revoke(before.lease, within=WITHIN)
            return
        operator.still()
    kv.revoke(lease, within=WITHIN)
    raise Refused(f"{key} changes all the time", hint="try again")


def _delete(operator: Operator, key: str) -> bool:
    for _ in range(TRIES):
        before = standing(operator, key)
        if before is None:
            return False
        compares = (*operator.ours(), revision_is(key, before.mod_revision))
        if operator.kv.txn(compares, (Delete(key),), within=WITHIN).succeeded:
            return True
        operator.still()
    raise Refused(f"{key} changes all the time", hint="try again")
