"""What an archive node does with its ports and its place behind the archive VIP. Pure.

Three means, from soft to hard: `held` lets new connections to the VIP wait (their first packets are dropped,
and the client's next ones reach the node that has the VIP by then), `out` has keepalived give the VIP away,
`shut` cuts off everybody but the node itself.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import Final

from hactl.agent.storage import NOT_LOOKED, Identity, Verdict
from hactl.view.archive import Drain

DRAIN_WITHIN: Final = 30.0  # s: how long what is under way may take, where the drain does not say
QUIET_FOR: Final = 0.5  # s without anything under way: a request may lie between two looks
# What has to be done once, beside the stand: none of it waits for the other. TRY: on a doubtful disk.
CUT, STOP, START, TRY, PROVE = "cut", "stop", "start", "try", "prove"
NOWHERE: Final = -1  # no device


class Because(enum.StrEnum):
    NOTHING = ""
    OPERATOR = "drain"
    STORAGE = "storage"


@dataclass(frozen=True)
class Seen:
    """`drain` None: nobody wants this node out. `holding`: it has the VIP. `orthanc`: its DICOM port listens.

    `busy`: connections through the VIP and requests at work; None: not known.
    """

    storage: Verdict = NOT_LOOKED
    drain: Drain | None = None
    holding: bool = False
    busy: int | None = None
    orthanc: bool = False


@dataclass(frozen=True)
class Stand:
    """`began`: when draining did (monotonic seconds). `quiet`: since when nothing is under way.

    `stopped`: we have stopped Orthanc because of the storage. `fresh`: it was seen not to run since the
    storage is in doubt, so what it reads comes from there and not out of its memory. `on`: the device that it
    was started on then. Orthanc keeps its disk: when the right one is back it must not go on with another.
    """

    out: bool = False
    held: bool = False
    shut: bool = False
    because: Because = Because.NOTHING
    why: str = ""
    began: float | None = None
    quiet: float | None = None
    stopped: bool = False
    fresh: bool = False
    on: int | None = None


def decide(seen: Seen, before: Stand, now: float) -> tuple[Stand, tuple[str, ...]]:
    """The stand from now on, and what is to be done once."""
    match seen.storage.identity:
        case Identity.LOST:
            return _lost(seen, before)
        case Identity.DOUBTFUL:
            return _doubtful(seen, before)
        case Identity.STALLED:
            stand = replace(
                before, out=True, held=seen.holding, because=Because.STORAGE, why=seen.storage.why
            )
            return stand, ()
        case Identity.UNKNOWN if before.because is Because.STORAGE:
            return before, ()
        case _:
            return _sound(seen, before, now)


def _lost(seen: Seen, before: Stand) -> tuple[Stand, tuple[str, ...]]:
    """Images must not come onto another disk: no packet passes, and Orthanc ends.

    One that does not run is not ours to stop, nor to start later: somebody has his reasons, or it is not
    even configured yet.
    """
    stopped = before.stopped or seen.orthanc
    stand = Stand(
        out=True, held=seen.holding, shut=True, because=Because.STORAGE, why=seen.storage.why,
        stopped=stopped, on=before.on if seen.orthanc else None,
    )  # fmt: skip
    acts = () if before.shut else (CUT,)
    return stand, (*acts, STOP) if seen.orthanc else acts


def _doubtful(seen: Seen, before: Stand) -> tuple[Stand, tuple[str, ...]]:
    """Shut, but with Orthanc running anew: it reads an image that the index knows."""
    device = seen.storage.device
    fresh = before.fresh and before.on == device
    stand = Stand(
        out=True, held=seen.holding, shut=True, because=Because.STORAGE, why=seen.storage.why,
        stopped=before.stopped or (seen.orthanc and not fresh),
        fresh=fresh or not seen.orthanc, on=before.on if seen.orthanc else device,
    )  # fmt: skip
    acts = () if before.shut else (CUT,)
    if seen.orthanc:
        return stand, (*acts, PROVE if stand.fresh else STOP)
    return stand, (*acts, TRY) if stand.stopped else acts


def _sound(seen: Seen, before: Stand, now: float) -> tuple[Stand, tuple[str, ...]]:
    """The storage is right (or not looked at yet, and nothing was wrong with it)."""
    if seen.orthanc and before.on not in {None, seen.storage.device}:
        return _elsewhere(seen, before)
    acts = (START,) if before.stopped and not seen.orthanc else ()
    left = Stand(stopped=before.stopped and not seen.orthanc)
    if seen.drain is None:
        return left, acts
    stand, more = _drained(seen, seen.drain, replace(left, began=before.began, quiet=before.quiet), now)
    if before.out and before.because is not Because.NOTHING:
        stand, more = replace(stand, out=True), ()
    return stand, (*acts, *more)


def _elsewhere(seen: Seen, before: Stand) -> tuple[Stand, tuple[str, ...]]:
    """The disk is right, and Orthanc has another one: it starts again before anything comes in."""
    stand = Stand(
        out=True, held=seen.holding, shut=True, because=Because.STORAGE,
        why="Orthanc was started on another disk than the one that is there now", stopped=True, on=before.on,
    )  # fmt: skip
    return stand, (STOP,) if before.shut else (CUT, STOP)


def _drained(seen: Seen, drain: Drain, stand: Stand, now: float) -> tuple[Stand, tuple[str, ...]]:
    why = f"{drain.by}: {drain.why}" if drain.why else str(drain.by)
    stand = replace(stand, held=seen.holding, because=Because.OPERATOR, why=why)
    if not seen.holding:
        return replace(stand, out=True, began=None, quiet=None), ()
    began = now if stand.began is None else stand.began
    quiet = (now if stand.quiet is None else stand.quiet) if seen.busy == 0 else None
    stand = replace(stand, began=began, quiet=quiet)
    within = DRAIN_WITHIN if drain.within is None else drain.within
    if quiet is not None and now - quiet >= QUIET_FOR:
        return replace(stand, out=True), ()
    if now - began >= within:  # whoever still waits for an answer shall hear that none comes
        return replace(stand, out=True), (CUT,)
    return stand, ()
