"""One drill in the lab, from the guard to the record."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from hactl import __version__
from hactl.act import config_versions, maintenance
from hactl.act.maintenance import Operator
from hactl.cli import drill_real
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.demo_view import Screen
from hactl.cli.drill_place import Place, place
from hactl.cli.incident import document as told_incident
from hactl.cli.journal_data import Journal, from_etcd
from hactl.cli.node_common import still
from hactl.cli.proposal import Proposal
from hactl.cli.status import looker
from hactl.decide.health import judge as judge_health
from hactl.decide.limits import PER_HOUR
from hactl.decide.switchover import may_switch
from hactl.drill import report, shelf
from hactl.drill.board import Board
from hactl.drill.course import WHOLE
from hactl.drill.history import History, Journaled, Mark, Outcome, Store
from hactl.drill.imageload import ImageLoad
from hactl.drill.record import brief, record
from hactl.drill.scenarios import Scenario, others, struck
from hactl.drill.session import Session
from hactl.drill.stopped import ABORTED, stopped
from hactl.errors import HactlError, Refused, StepFailed, Unreachable
from hactl.view.drill import LastDrill, drill_text
from hactl.view.history import counted, incidents
from hactl.view.incident import Incident
from hactl.view.journal import text_of
from hactl.view.journal_check import in_hand
from hactl.view.keys import Keys
from hactl.view.kv import Get, Put
from hactl.wiring import etcd_kv

CALM: Final = 3.0  # seconds of undisturbed work before the fault
AFTER: Final = 2.0  # and after
BACK_WITHIN: Final = 120.0  # hactl takes 2 to 5, Patroni and keepalived alone about 25
REDUNDANT_WITHIN: Final = 240.0  # a boot, a rewind, streaming
SEEN_WITHIN: Final = 60.0  # until `status` says what a scenario has to show
TOLD_WITHIN: Final = 60.0  # until the journal has an incident's end and its ledger
LEDGER_WITHIN: Final = 15.0  # of these, until it has the ledger of one that is closed
IMAGE_EVERY: Final = 0.5
WITHIN: Final = 5.0
OVERDUE: Final = "DRILL_OVERDUE"


def vetoes(context: Context, scenarios: Sequence[Scenario]) -> list[str]:
    """All that stands against a fault now: whatever is not whole, or under way."""
    view = by_hand.look(context)
    ill = [f for f in judge_health(context.spec, view).findings if f.severity.value != "info"]
    found = [
        f"{f.code.name} {f.subject}: {f.detail or f.code.summary}".strip()
        for f in ill
        if f.code.name != OVERDUE
    ]
    found += [s for s in by_hand.sentences(may_switch(context.spec, view).vetoes) if s not in found]
    if any(s.failovers[0] for s in scenarios) and recent(context) >= PER_HOUR:
        found.append(
            f"TOO_MANY_FAILOVERS: there were {PER_HOUR} within the hour, hactl would not act any more"
        )
    return found


def whole(status: Mapping[str, Any]) -> bool:
    """Nothing is missing, muted or not. That drills are overdue is what this one is for."""
    told = [*status.get("reasons", ()), *status.get("muted", ())]
    ill = [r for r in told if r["severity"] != "info" and r["code"] != OVERDUE]
    return not ill and (bool(told) or status["verdict"] == "healthy")


def recent(context: Context) -> int:
    """Automatic failovers within the last hour."""
    folder = Keys(context.spec.cluster).recent_failover(0).removesuffix("0")
    found = etcd_kv(context.spec, context.site).range(folder, within=WITHIN, prefix=True)
    return len(found.pairs)


def run(context: Context, scenario: Scenario, reason: str) -> dict[str, Any]:
    """The record. Raises Refused (all vetoes), LockHeld, StepFailed (the fault is healed), Unreachable."""
    where = place(context, production=False)
    with by_hand.operating(context, f"drill {scenario.name}", reason) as who:
        against = vetoes(context, [scenario])
        if against:
            raise Refused(f"no drill {scenario.name}: redundancy is not full", against, hint="hactl status")
        return Drill(context, where, scenario, who, reason).run()


def run_for_real(context: Context, scenario: Scenario, reason: str, proposed: Proposal) -> dict[str, Any]:
    """Where people rely on the service. `proposed`: what was agreed to; all of it is asked once more.

    Raises as `run`.
    """
    where = place(context, production=True)
    with by_hand.operating(context, f"drill {scenario.name}", reason) as who:
        still(proposed, drill_real.proposal(context, scenario))
        drill = Drill(context, where, scenario, who, reason)
        if drill.node != proposed.node:
            raise Refused(proposed.refused, [f"CHANGED: it would be {drill.node} now, not {proposed.node}"])
        return drill.run()


@dataclass
class Drill:
    """One scenario, once."""

    context: Context
    place: Place
    scenario: Scenario
    who: Operator
    reason: str
    kept: Path | None = None  # where history and record go; None: the state folder

    def __post_init__(self) -> None:
        self.still: Callable[[], None] = lambda: None
        self.status = looker(Context(self.context.spec, self.context.source, self.context.site, "json", 0))
        primary = self.place.primary()
        databases = tuple(self.context.spec.databases)
        self.node = struck(self.scenario.role, self.status(), primary, databases)
        if not self.node:
            raise Refused(f"there is no {self.scenario.role} to strike", hint="hactl status")
        self.other = others(databases, self.node)
        self.started = dt.datetime.now(tz=dt.UTC)
        self.run_name = f"{self.scenario.name.replace('/', '-')}-{self.started:%Y%m%dT%H%M%S}"
        self.shelf = self.kept or shelf.folder(self.context.site.state)
        self.history = History.create(self.shelf / f"{self.run_name}.jsonl")
        ground = self.place.ground()
        self.session = Session(ground, self.history, self.run_name)
        self.inside, self.sound = tuple(ground.clients), ground.databases if ground.sound else ()
        self.arp = ground.arp is not None
        self.screen = Screen(Console(stderr=self.context.output != "table"))
        self.modality = ImageLoad(ground.archive, self.run_name, self.history, every=IMAGE_EVERY)

    def run(self) -> dict[str, Any]:
        about = {"scenario": self.scenario.name, "run": self.run_name, "node": self.node}
        first = maintenance.note(self.who, "drill-begun", {**about, "reason": self.reason})
        try:
            self._under_load()
            found = self._judged(first)
        except BaseException as error:
            self._stopped(error)
            raise
        finally:
            self._tidy()
        maintenance.note(self.who, "drill", brief(found))
        self._shown(found)
        return found

    def _stopped(self, error: BaseException) -> None:
        """What is known by now is kept, on the shelf and in the journal."""
        why = error.message if isinstance(error, HactlError) else type(error).__name__
        found = stopped(self.scenario, self.history.snapshot(), self._about(), why)
        saved = shelf.save(self.shelf, self.run_name, found)
        self.screen.say(f"stopped early: {why}; record {saved}")
        with contextlib.suppress(HactlError):  # what went wrong is said in any case
            maintenance.note(self.who, "drill", {**brief(found), "ok": False, "said": why})
            self._shown(found)

    def _tidy(self) -> None:
        for left in self.place.tidy(self.run_name):
            self.screen.say(left)

    def _shown(self, found: dict[str, Any]) -> None:
        """For the controllers' metrics, and `status`."""
        now, lost = self.who.clock.wall(), found["rpo"]["lost_rows"] or 0
        last = LastDrill(now, self.scenario.name, found["clean"], found["rto_seconds"], lost)
        if found["verdict"] == ABORTED:
            before = self.who.kv.ranges((Get(self.who.keys.drill),), within=WITHIN).ranges[0]
            last = last.stopped(before[0].value if before else None)
        put = Put(self.who.keys.drill, drill_text(last))
        self.who.kv.txn(self.who.ours(), (put,), within=WITHIN, again=True)

    def _under_load(self) -> None:
        """Clients work, the fault comes, is over, is healed; ends when redundancy is full."""
        board = Board(time.monotonic(), told=self.screen.hear)
        self.history.listeners.append(board.event)
        asked = self.scenario.asked(self.node, self.other, self.place.blind)
        self.history.add(replace(asked, inside=self.inside, sound=self.sound, arp=self.arp))
        self.screen.say(f"drill {self.scenario.name} on {self.node}: {self.scenario.says}")
        with ExitStack() as stack:
            stack.callback(self._healed)  # the last thing on any exit: nothing stays broken
            self._prepared(stack)
            stack.enter_context(self.screen.live(board, f"hactl drill {self.scenario.name}"))
            stack.enter_context(self.session.running())
            if self.scenario.images:
                self.modality.start()
                stack.callback(self.modality.stop)
            time.sleep(CALM)
            self.still = stack.enter_context(self.place.watched(self.scenario, self.node))
            self._struck()
            self._redundant()
            self.history.note(WHOLE)
            time.sleep(AFTER)

    def _prepared(self, held: ExitStack) -> None:
        for kind in self.scenario.first:
            held.enter_context(self.place.injected(kind, self.node, ""))
        if self.scenario.first:
            self._redundant()

    def _healed(self) -> None:
        with by_hand.undisturbed(self.screen.say):
            self.place.heal()

    def _struck(self) -> None:
        kind, node = self.scenario.fault, self.node
        with ExitStack() as held:
            fault = self.session.fault(node, lambda: self.strike(held, self.scenario, node), kind)
            if not self.scenario.away:
                self._recovered(fault)
            if code := self.scenario.sees:
                self._until(f"status says {code} about {node}", lambda: self._said(code), SEEN_WITHIN)
            self._idle(max(AFTER, fault.begin + self.scenario.hold - time.monotonic()))
            healed = self.session.heal(node, held.close, kind)
        if self.scenario.away:
            self._recovered(healed)

    def _said(self, code: str) -> bool:
        reasons = self.status()["reasons"]
        return (code, self.node) in {(reason["code"], reason["subject"]) for reason in reasons}

    def strike(self, held: ExitStack, scenario: Scenario, node: str) -> None:
        """All of its faults; `held` heals them."""
        word = scenario.word.format(other=others(tuple(self.context.spec.databases), node))
        for kind in scenario.faults:
            own = word if kind == scenario.fault else ""
            held.enter_context(self.place.injected(kind, node, own))

    def _idle(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.still()
            time.sleep(min(0.2, left))

    def _recovered(self, fault: Mark) -> None:
        try:
            self.session.acknowledged(5, within=BACK_WITHIN, since=fault.end, still=self.still)
            if self.scenario.images:
                self._until("the archive takes images again", lambda: self._stored(fault.end), BACK_WITHIN)
        except Unreachable as error:
            raise StepFailed(
                error.message, last_done="the fault was injected", hint="hactl status"
            ) from error

    def _stored(self, since: float) -> bool:
        seen = [e for e in self.history.snapshot() if isinstance(e, Store) and e.begin >= since]
        return any(e.outcome is Outcome.OK for e in seen)

    def _redundant(self) -> None:
        self._until("redundancy is full", lambda: whole(self.status()), REDUNDANT_WITHIN)

    def _until(self, what: str, true: Callable[[], bool], within: float) -> None:
        """Asks twice a second; an error of asking counts as not yet. Raises StepFailed."""
        deadline = time.monotonic() + within
        while True:
            self.still()
            with contextlib.suppress(HactlError):
                if true():
                    return
            if time.monotonic() >= deadline:
                raise StepFailed(f"not within {within:g} s: {what}", hint="hactl status")
            time.sleep(0.5)

    def _judged(self, first: int) -> dict[str, Any]:
        """The verdict, said, and kept beside its history with the record."""
        images = self.session.images(self.modality.images) if self.scenario.images else None
        self.session.look_through(self.place.primary)
        journal, incident = self._journal(first)
        lines = [text_of(r) for r in journal.records if r.seq >= first]
        self.history.add(Journaled(tuple(lines)))
        verdict = self.session.verdict(images)
        told = None if incident is None else told_incident(journal, incident)
        found = record(self.scenario, verdict, self.history.snapshot(), self._about(), told)
        self.screen.verdict(verdict)
        report.save(verdict, self.history.path)
        saved = shelf.save(self.shelf, self.run_name, found)
        self.screen.say(f"history {self.history.path}, record {saved}")
        return found

    def _journal(self, first: int) -> tuple[Journal, Incident | None]:
        """Once no act is in hand any more, and the incident, if there was one, is closed with its ledger.

        A node that need not be rewound has none, and nobody says so: it is waited for a while.
        """
        deadline = time.monotonic() + TOLD_WITHIN
        late = time.monotonic() + LEDGER_WITHIN
        while True:
            journal = from_etcd(self.context)
            new = [r for r in journal.records if r.seq >= first]
            found = incidents(new, None)
            now = time.monotonic()
            told = all(i.outcome and (now >= late or counted(new, i) is not None) for i in found)
            if (told and not in_hand(new)) or now >= deadline:
                return journal, found[-1] if found else None
            time.sleep(1)

    def _about(self) -> dict[str, Any]:
        spec = self.context.source.read_bytes()
        newest = None
        with contextlib.suppress(HactlError):  # a drill that stopped because etcd is away has a record too
            newest = config_versions.newest(self.who)
        return {
            "run": self.run_name, "cluster": self.context.spec.cluster, "node": self.node,
            "spec_version": None if newest is None else newest.number,
            "spec_digest": hashlib.sha256(spec).hexdigest(), "hactl": __version__,
            "started": self.started.isoformat(timespec="seconds"), "actor": self.who.actor,
            "reason": self.reason, "lab": self.place.of_lab,
        }  # fmt: skip
