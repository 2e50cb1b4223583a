"""Keeps an archive node's ports and its place behind the VIP as hactl/agent/archive.py decides.

A thread of its own, four rounds a second and at once when the storage looks different. What may hang or take
long (the storage, etcd, root's acts, the end-to-end check) is asked in other threads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from hactl.agent import archive, storage
from hactl.agent.archive import Because, Seen, Stand
from hactl.agent.archive_work import Work
from hactl.agent.looks import Look
from hactl.agent.ports import Clocks, RootActs
from hactl.agent.storage import Identity, Known, Verdict
from hactl.errors import HactlError, StepFailed
from hactl.view.archive import NOT_RUN, ArchiveFacts, Drain, EndToEnd
from hactl.view.archive_kind import Program
from hactl.view.model import Probe, State, Unknown
from hactl.view.parse.archive import drain_text, parse_drain
from hactl.view.storage import StorageSeen

EVERY: Final = 0.25
STORAGE_EVERY, ROOM_EVERY, WRITE_EVERY, DRAIN_EVERY = 0.5, 1.0, 1.0, 1.0
STALLED: Final = 3.0  # s: a storage that does not answer for so long is no use, but not another one either
SLOW_WRITE: Final = 10.0  # s: as STALLED, for 4 KiB on the disk
RENEW: Final = 1.0  # s: elements of the packet filter end after a few of these
GIVE_UP: Final = (
    3  # rounds whose track file could not be written: systemd makes its folder anew at each start
)


class Door(Protocol):
    def hold(self, *, held: bool) -> None: ...

    def shut(self, *, shut: bool) -> None: ...

    def cut(self, *, all_addresses: bool) -> int: ...

    def busy(self) -> int: ...

    def listens(self) -> bool: ...


class Eyes(Protocol):
    def seen(self) -> StorageSeen: ...

    def room(self) -> Probe: ...

    def write(self) -> Probe: ...


class Notes(Protocol):
    def track(self, *, out: bool) -> None: ...

    def out(self) -> bool: ...

    def note_drain(self, text: str) -> None: ...

    def drain(self) -> str: ...

    def note_stopped(self, *, stopped: bool) -> None: ...

    def stopped(self) -> bool: ...

    def note_known(self, text: str) -> None: ...

    def known(self) -> str | None: ...


@dataclass(frozen=True)
class ArchiveMachine:
    """`drain`: what etcd says now. `prove`: an image that the index knows is read from the storage.

    Both raise what their ports raise. `check`: the end-to-end check's last result.
    """

    node: str
    cluster: str
    door: Door
    eyes: Eyes
    notes: Notes
    acts: RootActs
    holding: Callable[[], bool]
    drain: Callable[[], Drain | None]
    prove: Callable[[], str]
    program: Program
    check: Callable[[], EndToEnd | Unknown] = lambda: NOT_RUN


class Keeper:
    def __init__(
        self,
        machine: ArchiveMachine,
        clocks: Clocks,
        say: Callable[..., None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._machine, self._say, self._changed = machine, say, changed
        self._now = clocks.monotonic
        eyes, notes = machine.eyes, machine.notes
        self._wake = threading.Event()
        self._storage = Look("storage", eyes.seen, STORAGE_EVERY, self._now, self.wake)
        self._room = Look("room", eyes.room, ROOM_EVERY, self._now, self._room_looked)
        self._roomy: State | None = None
        self._write = Look("write", eyes.write, WRITE_EVERY, self._now, changed)
        self._drain = Look("drain", machine.drain, DRAIN_EVERY, self._now, self.wake)
        self._known = storage.parse_known(notes.known())
        self._told = notes.drain()
        self._stand = _at_start(notes)
        self._seen = Seen()
        self._applied: tuple[bool, bool] | None = None  # held, shut as the kernel has them
        self._renewed = 0.0
        self._unwritten = 0
        self._problem = ""
        self._work = Work(machine.acts, machine.notes, machine.prove, machine.program, self._now, say)

    def start(self, stop: threading.Event) -> None:
        for look in (self._storage, self._room, self._write, self._drain):
            look.start(stop)
        threading.Thread(target=self._run, args=(stop,), name="archive", daemon=True).start()
        threading.Thread(target=self._work.run, args=(stop,), name="orthanc", daemon=True).start()

    def wake(self) -> None:
        self._wake.set()

    def look_again(self) -> None:
        """A hint that the drain key has changed."""
        self._drain.hurry()

    def _room_looked(self) -> None:
        """Full, or not any more: that is told at once."""
        found = self._room.seen().value
        state = None if isinstance(found, Unknown) else found.state
        if state is not self._roomy:
            self._roomy = state
            self._changed()

    def _run(self, stop: threading.Event) -> None:
        self._wake.wait(EVERY)  # for the first look at the storage
        while not stop.is_set():
            self._wake.clear()
            self.round()
            self._wake.wait(EVERY)

    def storage(self) -> Probe:
        return self._verdict().probe

    def facts(self) -> ArchiveFacts:
        """Without waiting."""
        stand = self._stand
        return ArchiveFacts(
            room=_probe(self._room, STALLED), write=_probe(self._write, SLOW_WRITE),
            refusing=stand.held or stand.shut, out=stand.out,
            out_for=stand.why if stand.because is Because.STORAGE else "",
            associations=self._seen.busy, last_check=self._machine.check(),
        )  # fmt: skip

    def round(self) -> None:
        """Raises StepFailed: keepalived cannot be told anything; only a new process can go on."""
        seen = self._look()
        before, (stand, acts) = self._stand, archive.decide(seen, self._stand, self._now())
        self._seen, self._stand = seen, stand
        self._shut_and_hold(stand)
        if archive.CUT in acts:  # while the address is here: from another one no reset can be sent
            self._cut(stand)
        self._track(out=stand.out)
        self._work.wish(acts, self._storage.seen().value)
        if before.because is Because.STORAGE and stand.because is not Because.STORAGE and not stand.stopped:
            self._serves_again()
        if _said(before) != _said(stand):
            self._say(
                "archive stand", out=stand.out, held=stand.held, shut=stand.shut, why=stand.why,
                busy=seen.busy,
            )  # fmt: skip
            self._changed()

    def _serves_again(self) -> None:
        """Orthanc runs, and on the right disk."""
        try:
            self._machine.notes.note_stopped(stopped=False)
        except StepFailed as error:
            self._trouble(error)

    def _look(self) -> Seen:
        verdict = self._verdict()
        if verdict.identity is Identity.PROVEN or self._work.proven == self._storage.seen().value:
            self._remember()
        return Seen(
            storage=verdict,
            drain=self._wanted(),
            holding=self._machine.holding(),
            busy=self._busy(),
            orthanc=self._machine.door.listens() and not self._work.stopping,
        )

    def _verdict(self) -> Verdict:
        waited = self._storage.waited()
        if waited > STALLED:
            return Verdict(Identity.STALLED, f"the storage does not answer for {waited:.0f} s")
        found = self._storage.seen().value
        if isinstance(found, Unknown):
            return Verdict(Identity.UNKNOWN, found.why)
        return storage.judge(found, self._known, self._machine.cluster)

    def _remember(self) -> None:
        found = self._storage.seen().value
        if isinstance(found, Unknown) or found.marker != self._machine.cluster:
            return
        known = Known(found.device, found.mounted)
        if known == self._known:
            return
        try:
            self._machine.notes.note_known(storage.known_text(known))
        except StepFailed as error:
            self._trouble(error)
        self._known = known

    def _wanted(self) -> Drain | None:
        """What etcd says; while it is silent, what it said last."""
        found = self._drain.seen().value
        node = self._machine.node
        if isinstance(found, Unknown):
            return parse_drain(node, self._told) if self._told else None
        text = "" if found is None else drain_text(found)
        if text != self._told:
            self._told = text
            try:
                self._machine.notes.note_drain(text)
            except StepFailed as error:
                self._trouble(error)
        return found

    def _busy(self) -> int | None:
        try:
            return self._machine.door.busy()
        except HactlError as error:
            self._trouble(error)
            return None

    def _shut_and_hold(self, stand: Stand) -> None:
        wanted, now = (stand.held, stand.shut), self._now()
        if wanted == self._applied and not (any(wanted) and now - self._renewed >= RENEW):
            return
        try:
            if stand.shut or self._applied is None or self._applied[1]:
                self._machine.door.shut(shut=stand.shut)
            self._machine.door.hold(held=stand.held)
        except HactlError as error:
            self._trouble(error)
            self._applied = None
            return
        self._applied, self._renewed = wanted, now

    def _track(self, *, out: bool) -> None:
        notes = self._machine.notes
        try:
            if notes.out() is not out:
                notes.track(out=out)
            self._unwritten = 0
        except StepFailed as error:
            self._trouble(error)
            self._unwritten += 1
            if self._unwritten >= GIVE_UP:
                raise

    def _cut(self, stand: Stand) -> None:
        try:
            ended = self._machine.door.cut(all_addresses=stand.shut)
        except HactlError as error:
            self._trouble(error)
            return
        self._say("connections ended", connections=ended, why=stand.why)

    def _trouble(self, error: HactlError) -> None:
        if error.message != self._problem:
            self._problem = error.message
            self._say("archive trouble", why=error.message)


def _at_start(notes: Notes) -> Stand:
    """As the agent before us left it: nothing is opened before somebody has looked."""
    if notes.stopped():
        why = "the storage was not proven when hactl started"
        return Stand(out=True, shut=True, because=Because.STORAGE, why=why, stopped=True, on=archive.NOWHERE)
    out = notes.out()
    return Stand(out=out, because=Because.OPERATOR if out else Because.NOTHING)


def _said(stand: Stand) -> tuple[object, ...]:
    return stand.out, stand.held, stand.shut, stand.why


def _probe(look: Look[Probe], hangs: float) -> Probe:
    waited, found = look.waited(), look.seen().value
    if waited > hangs:
        return Probe(State.FAILED, f"no answer for {waited:.0f} s")
    return Probe(State.UNKNOWN, found.why) if isinstance(found, Unknown) else found
