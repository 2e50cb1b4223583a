"""`hactl controller run`: from the first signal to the last."""

from __future__ import annotations

import datetime as dt
import secrets
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hactl.adapters.systemd_notify import SystemdNotify
from hactl.controller.engine import Common, Engine
from hactl.controller.journal import EtcdJournal
from hactl.controller.journal_copy import Replica
from hactl.errors import HactlError, Refused
from hactl.spec.model import ClusterSpec
from hactl.view.control_text import controller_text
from hactl.wiring_controller import ControllerPorts

# How old each loop's last sign may be; the service's own watchdog ends a process that says nothing.
LIMITS: Final = {"look": 5.0, "fast": 10.0, "tick": 15.0, "view": 30.0, "archive": 15.0, "election": 8.0}
STOP_WITHIN: Final = 6.0
NOTIFY: Final = 1.0


@dataclass(frozen=True)
class Means:
    """How a process gets what depends on the spec: `load` reads it again, `ports` and `journal` build."""

    load: Callable[[], ClusterSpec]
    ports: Callable[[ClusterSpec], ControllerPorts]
    journal: Callable[[ControllerPorts], tuple[EtcdJournal, Replica]]
    follow_spec: Callable[[ClusterSpec], None]


class Signals:
    """SIGTERM and SIGINT end, SIGHUP reads the spec again. Set by handlers, read by the main loop."""

    def __init__(self) -> None:
        self.end = self.reload = False
        self.came = threading.Event()

    def listen(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._set(end=True))
        signal.signal(signal.SIGHUP, lambda *_: self._set(end=False))

    def _set(self, *, end: bool) -> None:
        self.end = self.end or end
        self.reload = self.reload or not end
        self.came.set()


class Controller:
    def __init__(self, spec: ClusterSpec, means: Means, common: Common, notify: SystemdNotify) -> None:
        self._spec, self._means, self._common, self._notify = spec, means, common, notify
        self._over = threading.Event()

    def run(self, signals: Signals) -> None:
        """Until a signal ends it. Raises Refused: the node's role is not one that has a controller."""
        engine = self._begin(self._means.ports(self._spec))
        seat = threading.Thread(target=self._sit, name="election", daemon=True)
        seat.start()
        self._notify.say("READY=1", "STATUS=running")
        while not signals.end:
            if signals.came.wait(NOTIFY):
                signals.came.clear()
            if signals.reload and not signals.end:
                signals.reload = False
                engine = self._reloaded(engine)
            self._alive()
        self._notify.say("STOPPING=1")
        self._common.log.say("stopping")
        ended = engine.stop(STOP_WITHIN)
        self._over.set()
        seat.join(STOP_WITHIN / 3)
        self._leave(ended=ended)

    def _begin(self, ports: ControllerPorts) -> Engine:
        engine = Engine(self._spec, ports, *self._means.journal(ports), self._common)
        engine.start()
        return engine

    def _reloaded(self, engine: Engine) -> Engine:
        """With the spec as it is now; one that cannot be used changes nothing."""
        self._notify.say("RELOADING=1")
        try:
            spec = self._means.load()
            if spec.cluster != self._spec.cluster or self._common.me not in spec.voters:
                raise Refused(f"{self._common.me} is no controller in this spec, or it is another cluster's")
        except HactlError as error:
            self._common.log.say("spec refused", why=error.message)
            self._notify.say("READY=1", "STATUS=running; the spec on file was refused")
            return engine
        engine.stop(STOP_WITHIN)
        self._spec = spec
        ports = self._means.ports(spec)
        self._common.election.use(ports.kv)
        self._means.follow_spec(spec)
        self._common.log.say("spec read again")
        begun = self._begin(ports)
        self._notify.say("READY=1", "STATUS=running")
        return begun

    def _sit(self) -> None:
        election, log = self._common.election, self._common.log
        while not self._over.is_set():
            wait = election.step()
            active = election.claim() is not None
            log.changed("election", active, "active" if active else "standing by")
            self._common.board.beat("election")
            self._over.wait(wait)

    def _alive(self) -> None:
        stuck = self._common.board.stuck()
        self._common.log.changed("stuck", bool(stuck), "stuck" if stuck else "all loops run", loops=stuck)
        if not stuck:
            self._notify.say("WATCHDOG=1")

    def _leave(self, *, ended: bool) -> None:
        """A loop that still acts keeps the lease, which ends by itself: nobody else may act beside it."""
        if not ended:
            self._common.log.say("a step did not end in time", why="the lease is left to end by itself")
            return
        try:
            self._common.election.leave()
        except HactlError as error:
            self._common.log.say("the lease is left to end by itself", why=error.message)
        self._common.log.say("stopped")


def own_value(me: str, boot: str, wall: float) -> str:
    """The controller key's value of this process, and of no other."""
    since = dt.datetime.fromtimestamp(wall, dt.UTC).isoformat(timespec="seconds")
    return controller_text(me, boot, since, secrets.token_hex(8))
