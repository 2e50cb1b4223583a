"""One run: a fault under load, how long nobody could write, how long until both nodes had everything."""

from __future__ import annotations

import contextlib
import random
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from hactl.drill import report
from hactl.drill.checker import Judgment, judge, named, one_writer
from hactl.drill.history import Event, Mark, Outcome, Row, Write
from hactl.drill.session import Session
from hactl.errors import HactlError, Unreachable
from hactl.lab import faults_disk
from hactl.lab.lab import Lab
from hactl.lab.machine import Power
from tests.bench.failover_cases import Case, Variant
from tests.support import control

REDUNDANT_WITHIN: Final = 180.0
AFTER: Final = 1.5  # seconds of writing after the outage: a second one would show
STALL_SEEN: Final = 6.0  # seconds after a fault that need not cost an outage


class Pair(Protocol):
    """A pair of databases and what keeps them available: hactl's or a peer's."""

    @property
    def lab(self) -> Lab: ...

    @property
    def waived(self) -> frozenset[str]:
        """The checker's promises that it does not make, by their names."""

    def enter(self, variant: Variant) -> None:
        """Healed, run that way, and fit for a fault. Raises Unreachable with what is missing."""

    def session(self, name: str) -> Session: ...

    def primary_and_standby(self) -> tuple[str, str]: ...

    def redundant(self) -> bool:
        """Whether the primary has a synchronous standby that streams."""

    def facts(self) -> dict[str, Any]:
        """What may decide how long it takes, just before the fault."""

    def let_go(self, victim: str) -> None:
        """A frozen postmaster goes on."""


@dataclass
class Run:
    """One cell of the matrix, once."""

    modes: Pair
    case: Case
    variant: Variant
    chance: random.Random

    @property
    def lab(self) -> Lab:
        return self.modes.lab

    def once(self) -> dict[str, Any]:
        """The record of the run. The lab is whole again afterwards, or the record says that it was not."""
        self.modes.enter(self.variant)
        session = self.modes.session(f"{self.case.name}.{self.variant.name}")
        with session.running():
            time.sleep(self.chance.uniform(0.5, 2.0))  # nothing may depend on where in a loop it hits
            primary, standby = self.modes.primary_and_standby()
            victim = primary if self.case.on == "primary" else standby
            act = self.case.ours if self.variant.hactl and self.case.ours else self.case.act
            if self.case.before:
                self.case.before(self.lab, primary, standby)
            facts = self.modes.facts()
            fault = session.fault(victim, lambda: act(self.lab, primary, standby))
            recovered = self._recovered(session, fault)
            rejoin = self._rejoined(session, victim)
            time.sleep(0.5)
        tables, unread = stored(session)
        events = session.history.snapshot()
        verdict = without(judge(events, tables), self.modes.waived)
        report.save(verdict, session.history.path)
        found = {
            "case": self.case.name,
            "variant": self.variant.name,
            "history": session.history.path.name,
            "victim": victim,
            **facts,
            "fault": fault.begin,
            "seconds": figure(self.case, verdict, recovered=recovered),
            "rejoin": rejoin,
            "unread": unread,
            **judged(verdict, events, tables),
        }
        if self.variant.hactl:
            found["incident"] = incident(self.lab, fault)
        return found

    def _recovered(self, session: Session, fault: Mark) -> bool:
        if self.case.stall:
            time.sleep(STALL_SEEN)
        try:
            session.acknowledged(3, within=self.case.limit, since=fault.end)
        except Unreachable:
            return False
        time.sleep(AFTER)
        return True

    def _rejoined(self, session: Session, victim: str) -> float | None:
        """Seconds from the mending (from the fault, if it needs none) to a synchronous standby again."""
        begin = self._mended(session, victim)
        deadline = begin + REDUNDANT_WITHIN
        while not self.modes.redundant():
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.2)
        return time.monotonic() - begin

    def _mended(self, session: Session, victim: str) -> float:
        if self.case.name in {"crash", "switchover"}:
            session.heal(victim, lambda: None)
            return next(e.begin for e in session.history.snapshot() if isinstance(e, Mark))
        return session.heal(victim, lambda: self._mend(victim)).begin

    def _mend(self, victim: str) -> None:
        faults_disk.release(self.lab, victim)
        if self.lab.machine(victim).power() is Power.OFF:
            self.lab.power_on(victim, wait=False)
        self.lab.heal()
        if self.case.name == "freeze-postgres":
            self.modes.let_go(victim)


def figure(case: Case, verdict: Judgment, *, recovered: bool) -> float | None:
    """None: not within the case's limit."""
    if verdict.outage is None or not recovered:
        return None
    return verdict.outage.silence if case.stall else verdict.outage.recovery


def stored(session: Session) -> tuple[dict[str, list[Row]], list[str]]:
    """The rows of every node that answers, and who does not: it may never have come back."""
    try:
        return session.tables(), []
    except HactlError:
        pass
    found: dict[str, list[Row]] = {}
    for node in session.ground.databases:
        with contextlib.suppress(HactlError):
            found[node] = session.ground.stored(node, session.run)
    return found, [node for node in session.ground.databases if node not in found]


def without(verdict: Judgment, waived: frozenset[str]) -> Judgment:
    kept = tuple(f for f in verdict.findings if f.invariant not in waived)
    return replace(verdict, findings=kept)


def judged(verdict: Judgment, events: Sequence[Event], tables: Mapping[str, Sequence[Row]]) -> dict[str, Any]:
    """What the checker says, and how much it looked at.

    `dual`: two instances took writes, or said so, where clients could reach them. `both`: they took them.
    """
    acked = {(e.client, e.seq) for e in events if isinstance(e, Write) and e.outcome is Outcome.OK}
    kept = [{(r.client, r.seq) for r in rows} for rows in tables.values()]
    return {
        "silence": verdict.outage.silence if verdict.outage else None,
        "lost": max((len(acked - rows) for rows in kept), default=len(acked)),
        "dual": sum(f.invariant == "I1" for f in verdict.findings),
        "both": len(list(one_writer([e for e in named(events) if isinstance(e, Write)]))),
        "findings": [f"{f.invariant}: {f.sentence}" for f in verdict.findings],
        "remarks": [f"{f.invariant}: {f.sentence}" for f in verdict.remarks],
        "counts": dict(verdict.counts),
    }


def incident(lab: Lab, fault: Mark) -> dict[str, Any] | None:
    """The newest incident, if it was opened after the fault: each phase in seconds after the fault."""
    try:
        found = control.newest_incident(lab, fault.begin)
    except (HactlError, subprocess.SubprocessError, ValueError, KeyError) as error:
        return {"error": str(error)}
    if found is None:
        return None
    proof = next((p["evidence"] for p in found["phases"] if p["phase"] == "proof"), "")
    kept = {key: found[key] for key in ("id", "what", "result", "lost_commits")}
    return {**kept, "phases": control.after(found, fault.begin), "proof": proof}
