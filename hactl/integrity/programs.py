"""What the units on an archive node run: follower, scrub, reconcile; to the end, or until told to stop."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from hactl.errors import HactlError, Refused, StepFailed, Unreachable
from hactl.integrity import build, reports
from hactl.integrity.build import Here, now_text
from hactl.integrity.follow import EVERY, Follower
from hactl.integrity.reconcile import Reconcile, Result, stages
from hactl.integrity.reports import Progress
from hactl.integrity.scrub import Scrub
from hactl.integrity.signer import Signer
from hactl.integrity.storage import Stopped

Say = Callable[..., None]
STATUS_EVERY: Final = 5.0
AGAIN: Final = 5.0  # s after a trouble
_TROUBLE: Final = (Unreachable, Refused, StepFailed)


def stopping() -> threading.Event:
    """Set by SIGTERM and SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def follow(here: Here, stop: threading.Event, say: Say) -> None:
    """Until told to stop. A trouble ends nothing: the next look begins where the last good one ended."""
    follower, written, why = build.follower(here), -1e9, ""
    times = {"began": follower.began(time.time()), "ok_at": 0.0}
    while not stop.is_set():
        more, trouble = _look(follower)
        if not trouble:
            times["ok_at"] = time.time()
        if trouble != why:
            say("the manifest follows" if not trouble else "the manifest cannot follow", why=trouble)
            why = trouble
        if time.monotonic() - written >= STATUS_EVERY:
            _told(here, follower, {**times, "why": why})
            written = time.monotonic()
        stop.wait(AGAIN if trouble else 0.0 if more else EVERY)


def _look(worker: Follower | Signer) -> tuple[bool, str]:
    try:
        return worker.once(), ""
    except Stopped:
        return False, ""
    except _TROUBLE as error:
        return False, str(error)


def _told(here: Here, follower: Follower, more: dict[str, Any]) -> None:
    reports.write(here.file(reports.MANIFEST), {**follower.status(), "at": time.time(), **more})


def sign(here: Here, stop: threading.Event, say: Say) -> None:
    """Until told to stop; a trouble ends nothing, as with the manifest."""
    signer, why, ok_at, written = build.signer(here, begin=True), "not begun", time.time(), -1e9
    while not stop.is_set():
        more, trouble = _look(signer)
        if not trouble:
            ok_at = time.time()
        if trouble != why:
            say("images are signed" if not trouble else "images cannot be signed", why=trouble)
            why = trouble
        if time.monotonic() - written >= STATUS_EVERY:
            state = {**signer.status(), "ok_at": ok_at, "at": time.time(), "why": why}
            reports.write(here.file(reports.SIGNING), state)
            written = time.monotonic()
        stop.wait(AGAIN if trouble else 0.0 if more else EVERY)


def scrub(here: Here, say: Say) -> Progress:
    """Goes on with the last run if that was interrupted. Raises what ended it; the state file says it too."""
    last = reports.progress(reports.read(here.file(reports.SCRUB)))
    if last.state == "done" or not last.run:
        last = Progress(run=now_text(), started=now_text(), last_whole=last.last_whole)
    last.why = last.ended = ""
    parts = build.scrub_parts(here)
    say("scrub begins", run=last.run, after=last.position)
    try:
        last.manifest = parts.manifest.problems(_anchors(here, say))
        whole = Scrub(parts, last).run()
    except HactlError as error:
        _failed(here, error)
        raise
    if whole:
        last.ended = now_text()
        parts.save(last)
        _report(here, last, parts.marks.of_run(last.run, reports.LISTED))
    say("scrub ends", run=last.run, state=last.state, done=last.done, marks=last.marks, mended=last.mended)
    return last


def _anchors(here: Here, say: Say) -> tuple[Any, ...]:
    """Without them a manifest that was written anew as a whole would pass: that is said."""
    try:
        return here.notes().anchored()
    except Unreachable as error:
        say("the manifest's anchors cannot be read", why=str(error))
        return ()


def _failed(here: Here, error: HactlError) -> None:
    """On top of what was written last: a position is never behind what was found up to it."""
    path = here.file(reports.SCRUB)
    saved = reports.progress(reports.read(path))
    saved.state, saved.why = "failed", str(error)
    reports.write(path, saved.plain())


def _report(here: Here, progress: Progress, marks: list[Any]) -> None:
    found = {"run": progress.plain(), "marks": [mark.plain() for mark in marks]}
    reports.write(here.file(reports.SCRUB_REPORT), found)


def reconcile(here: Here, say: Say, *, dry: bool, since: float | None, force: bool) -> Result:
    """Raises what ended it; the state file says it too."""
    path, begun = here.file(reports.RECONCILE), time.time()
    before = reports.read(path) or {}
    kept: dict[str, Any] = {name: before[name] for name in ("whole_since", "timeline") if name in before}
    reports.write(path, {**kept, "state": "running", "run": now_text(), "dry": dry})
    try:
        work = Reconcile(build.reconcile_parts(here, since), now_text(), dry=dry, force=force)
        result = work.run()
    except HactlError as error:
        reports.write(path, {**kept, "state": "failed", "run": now_text(), "dry": dry, "why": str(error)})
        raise
    if result.whole and not dry:
        kept = {"whole_since": begun, "timeline": result.timeline}
        here.notes().note(result.timeline, here.node, "; ".join(stages(result)))
    counts = {name: value for name, value in result.plain().items() if name not in {"items", "timeline"}}
    reports.write(path, {**kept, **counts, "state": "done" if result.whole else "unfinished", "at": begun})
    reports.write(here.file(reports.RECONCILE_REPORT), result.plain())
    say("reconcile ends", **counts)
    return result
