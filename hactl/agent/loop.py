"""The agent's main loop. On database nodes a round each 0.5 s renews the fencing lease, or ends it.

systemd's watchdog hears of each round from here and from nowhere else: a frozen loop is killed and started
again well before the lease would have run out twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hactl.agent import ask, lease, obey, renewal
from hactl.agent.hands import Hands
from hactl.agent.holder import Holder
from hactl.agent.lease import Now, Stand
from hactl.agent.ports import Clocks, Lease, Notes, Service
from hactl.agent.primary import PrimaryLook
from hactl.agent.renewal import Me, Renewal
from hactl.errors import HactlError, StepFailed, Unreachable
from hactl.ports import EtcdKv
from hactl.view.control import Mode

EVERY = 0.5
NOT_SOONER = 0.02  # between rounds, however many hints come
APPLY_PLANNED = 1.0
GIVE_UP = 3  # rounds whose small files could not be written: systemd makes their folder anew at each start
LEAVING_FOR = 2.0  # s: a switchover that Patroni was asked for; said again each round while it stands
PLAIN_EVERY = 1.0
PLAIN_WITHIN = 0.9  # as a round that renews a lease: the watchdog is the same


@dataclass(frozen=True)
class Told:
    """What the facts say of the loop."""

    mode: Mode | None
    lease_left: float | None
    thawed: int


class PlainLoop:
    """A node without a database: it is asked for orders only."""

    def __init__(self, me: Me, kv: EtcdKv, hands: Hands, clocks: Clocks, service: Service) -> None:
        self._me, self._kv, self._hands, self._clocks, self._service = me, kv, hands, clocks, service
        self._memory = obey.Memory()
        self._wake = threading.Event()

    def wake(self) -> None:
        self._wake.set()

    def told(self) -> Told:
        return Told(None, None, 0)

    def run(self, stop: threading.Event) -> None:
        self._service.say("READY=1")
        while not stop.is_set():
            self._service.say("WATCHDOG=1")
            self.round()
            self._service.say("WATCHDOG=1")
            self._wake.wait(PLAIN_EVERY)
            self._wake.clear()

    def round(self) -> None:
        try:
            reads = ask.order_reads(self._me.keys, self._me.node)
            asked = ask.orders(self._kv.ranges(reads, within=PLAIN_WITHIN).ranges)
        except (Unreachable, ValueError):
            return
        tasks, self._memory = obey.decide(asked, self._memory, self._clocks.monotonic())
        for task in tasks:
            self._hands.take(task)


@dataclass(frozen=True)
class Machine:
    """The node as the lease's loop uses it."""

    lease: Lease
    holder: Holder
    primary: PrimaryLook
    notes: Notes
    clocks: Clocks
    service: Service


class LeaseLoop:
    """A database node."""

    def __init__(self, me: Me, kv: EtcdKv, machine: Machine, hands: Hands, say: Callable[..., None]) -> None:
        self._me, self._machine, self._hands, self._say = me, machine, hands, say
        self._clocks, self._holder = machine.clocks, machine.holder
        self._memory = obey.Memory(fenced=machine.notes.fenced())
        self._stand = Stand(None, False, 0.0, "hactl starts")
        self._pulse = self._now()
        self._renewal = Renewal(me, kv, machine.clocks, say)
        self._thawed = 0
        self._wake = threading.Event()
        self._closed = False
        self._changed: Callable[[], None] = lambda: None

    def on_change(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever another stand holds."""
        self._changed = changed

    def wake(self) -> None:
        """A hint that a round now would find news."""
        self._wake.set()

    def told(self) -> Told:
        return Told(Mode.LEASED if self._closed else None, self._stand.left(self._now()), self._thawed)

    def run(self, stop: threading.Event) -> None:
        """Raises StepFailed: only a new process can go on."""
        while not self._closed and not stop.is_set():
            self.go_leased()
            if not self._closed:
                stop.wait(EVERY)
        self._pulse = self._now()
        self._ready()
        while not stop.is_set():
            start = self._clocks.monotonic()
            self.round()
            if self._holder.unwritten >= GIVE_UP:
                raise StepFailed(f"keepalived does not hear of us: {self._holder.problem}")
            self._machine.service.say("READY=1", "WATCHDOG=1", f"STATUS={self._stand.why}")
            self._rest(start)

    def _ready(self) -> None:
        try:
            self._machine.notes.ready()
        except HactlError as error:  # then a crash is followed by opening: later, and no less safe
            self._say("cannot say that we are ready", why=error.message)

    def go_leased(self) -> None:
        """The first act: what was open gets an end, in the kernel first, then on disk, then in etcd."""
        notes, table = self._machine.notes, self._machine.lease
        now, length = self._now(), self._me.length
        try:
            declared = notes.opened()  # so etcd knows that the lease's end proves nothing
            opened = declared or table.opened()
            here = self._holder.here()
            said = 0.0 if declared else notes.last_word()
            if said:  # a table that somebody removed: no lease becomes longer by that
                length = max(0.0, min(length, said - now.boot))
            if opened:
                table.close(int(length * 1000) if here else 0)
            self._stand = lease.at_start(
                now,
                opened=opened and here,
                track=notes.tracked(),
                word=0.0 if opened else notes.last_word(),
                length=length,
            )
            notes.word(self._stand.word)
            notes.forget_open()
        except HactlError as error:
            self._say("cannot go leased", why=error.message)
            return
        self._closed = True
        self._say("leased", was_open=opened, holds_vip=here)

    def round(self) -> None:
        self._check_thaw(EVERY)
        self._machine.service.say("WATCHDOG=1")  # so the pause and etcd's silence do not add up
        heard = self._renewal.heard()
        self._machine.service.say("WATCHDOG=1")
        if heard is not None and heard.leaving:
            self._leaving(heard.answer.sent + LEAVING_FOR)
        self._check_thaw(renewal.WITHIN)
        answer = None if heard is None else heard.answer
        primary = self._machine.primary.primary()
        wanted = lease.decide(self._me.node, answer, primary, self._stand, self._now(), self._me.length)
        self._stand_on(wanted)
        self._machine.primary.awaited(wanted=wanted.until is not None and not wanted.vip)
        if heard is not None:
            self._obey(heard.asked)
        self._check_thaw(APPLY_PLANNED)

    def _leaving(self, until: float) -> None:
        """Only for speed (templates/postgres/before-stop.j2): without the note it takes a second longer."""
        try:
            self._machine.notes.leaving(until)
        except HactlError as error:
            self._say("no note of the switchover", why=error.message)

    def _stand_on(self, wanted: Stand) -> None:
        before, self._stand = self._stand, self._holder.apply(wanted)
        if (before.until is None, before.vip, before.why) != (
            self._stand.until is None,
            self._stand.vip,
            self._stand.why,
        ):
            self._say("stand", lease=self._stand.until is not None, vip=self._stand.vip, why=self._stand.why)
            self._changed()

    def _obey(self, asked: obey.Asked) -> None:
        tasks, self._memory = obey.decide(asked, self._memory, self._clocks.monotonic())
        for task in tasks:
            self._hands.take(task)

    def _check_thaw(self, planned: float) -> None:
        now = self._now()
        why = lease.thawed(self._pulse, now, planned, self._stand.until)
        self._pulse = now
        if why is None:
            return
        self._thawed += 1
        self._holder.distrust()
        self._stand = self._holder.apply(lease.after_thaw(self._stand, why))
        self._say("thawed", why=why, times=self._thawed)
        self._pulse = self._now()

    def _now(self) -> Now:
        return Now(self._clocks.boottime(), self._clocks.monotonic())

    def _rest(self, start: float) -> None:
        left = start + EVERY - self._clocks.monotonic()
        self._wake.wait(max(NOT_SOONER, left))
        self._wake.clear()
