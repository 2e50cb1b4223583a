"""The archive's own loop of the controller, each second: it holds up nothing of the failover."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hactl.act import archive as act
from hactl.act.hands import Hands
from hactl.act.run import execute
from hactl.adapters.events import EventLog
from hactl.controller.archive_probes import Prober
from hactl.controller.fast import report, told
from hactl.controller.samples import Samples
from hactl.decide.archive import ArchiveDecision, ArchiveMemory, decide_archive
from hactl.decide.archive_sql import Sql, sql
from hactl.decide.limits import LOOK_AGE
from hactl.decide.plan import GiveOrder
from hactl.errors import HactlError
from hactl.metrics.instruments import Instruments
from hactl.metrics.snapshot import ArchivesSeen
from hactl.ports import Clock
from hactl.spec.model import ClusterSpec
from hactl.view.archive import ArchiveMark, ArchiveState
from hactl.view.archive_kind import ABLE, Abilities
from hactl.view.control import ControlView, Dcs
from hactl.view.model import ArchiveView

EVERY: Final = 1.0
TOLD_EACH: Final = 10  # changes of one moment that have a record of the journal each
# What a reader of the journal wants to know; the states between them come and go.
_TOLD: Final = frozenset({
    ArchiveState.HEALTHY, ArchiveState.FAILED, ArchiveState.DRAINING, ArchiveState.DRAINED,
})  # fmt: skip


@dataclass
class ArchiveLoop:
    """What it sees is there for the tick; nothing while another controller acts."""

    spec: ClusterSpec
    samples: Samples
    prober: Prober
    hands: Hands
    clock: Clock
    log: EventLog
    instruments: Instruments
    can: Abilities = ABLE
    memory: ArchiveMemory = field(default_factory=ArchiveMemory)
    again: Callable[[], bool] = lambda: True  # looks at etcd anew: what is much is read a little late
    watched: float | None = None
    _views: Mapping[str, ArchiveView] = field(default_factory=dict)

    def seen(self) -> ArchivesSeen:
        return ArchivesSeen(self._views, self.prober.breakers() if self._views else {})

    def run(self, stop: threading.Event, beat: Callable[[], None]) -> None:
        while not stop.is_set():
            began = self.clock.monotonic()
            self.once()
            beat()
            stop.wait(max(0.05, began + EVERY - self.clock.monotonic()))

    def once(self) -> None:
        now = self.clock.monotonic()
        control = self.samples.view(self.hands.me, holding=self.hands.claim() is not None)
        if not control.holding:
            self._rest()
            return
        if self.watched is None:
            self.watched = now
        weather = sql(control, self.watched, now)
        self.prober.weather(weather)
        dcs = _fresh(control, self.clock.monotonic())
        if dcs is None:
            return
        decision = self._decide(dcs, weather, now)
        if decision.plan.steps:  # somebody may just have drained what is about to be restarted
            dcs = self._anew()
            if dcs is None:
                return
            decision = self._decide(dcs, weather, now)
        self.memory = decision.memory
        self._views = {n: ArchiveView(look.levels, can=self.can) for n, look in decision.looks.items()}
        self._act(decision)
        self._mark(decision, dcs)
        self.instruments.tick("archive", self.clock.monotonic() - now)

    def _decide(self, dcs: Dcs, weather: Sql, now: float) -> ArchiveDecision:
        return decide_archive(self.spec, self.prober.sights(), dcs, weather, self.memory, now, self.can)

    def _anew(self) -> Dcs | None:
        if not self.again():
            return None
        control = self.samples.view(self.hands.me, holding=self.hands.claim() is not None)
        return _fresh(control, self.clock.monotonic())

    def _rest(self) -> None:
        self.memory, self.watched, self._views = ArchiveMemory(), None, {}
        self.prober.rest()

    def _act(self, decision: ArchiveDecision) -> None:
        told(self.log, "archive", decision.plan, holding=True)
        for outcome in (outcomes := execute(decision.plan, self.hands)):
            if isinstance(outcome.action, GiveOrder) and outcome.done:
                self.prober.anew(outcome.action.node)
        report(self.log, outcomes)

    def _mark(self, decision: ArchiveDecision, dcs: Dcs) -> None:
        """What has changed, into etcd, for the next controller and for whoever asks."""
        since, before = act.now_text(self.hands), dcs.archive_states
        news = {
            node: dataclasses.replace(found, since=since)
            for node, found in decision.marks.items()
            if _differs(before.get(node), found)
        }
        while news:
            some = dict(itertools.islice(news.items(), act.MOST_MARKS))
            news = dict(itertools.islice(news.items(), act.MOST_MARKS, None))
            try:
                act.mark(some, self.hands)
                self._tell(some, before)
            except HactlError as error:  # it is written with the next change, or by the next look
                self.log.say("states not written", nodes=list(some), why=error.message)
                return

    def _tell(self, news: Mapping[str, ArchiveMark], before: Mapping[str, ArchiveMark]) -> None:
        """A record for each, or one for many: the journal has room for other things, too."""
        told = []
        for node, found in news.items():
            self.log.say("archive", node=node, state=found.state, why=found.why, rung=found.rung)
            was = before.get(node)
            if found.state in _TOLD and (was is None or was.state is not found.state):
                told.append((node, found))
        if len(told) > TOLD_EACH:
            states = sorted({found.state for _, found in told})
            by_state = {str(s): [node for node, found in told if found.state is s] for s in states}
            self.hands.journal.event("archive-states", data={"states": by_state})
            return
        for node, found in told:
            data = {"node": node, "state": str(found.state), "why": found.why, "rung": found.rung}
            self.hands.journal.event("archive-state", data=data)


def _differs(before: ArchiveMark | None, found: ArchiveMark) -> bool:
    return before is None or (before.state, before.rung) != (found.state, found.rung)


def _fresh(control: ControlView, now: float) -> Dcs | None:
    """An old look decides nothing, nor does one that lacks what is known of archive nodes."""
    dcs = control.dcs
    known = isinstance(dcs, Dcs) and dcs.archives_known and now - control.dcs_at <= LOOK_AGE
    return dcs if known and isinstance(dcs, Dcs) else None
