"""A failover under load in the lab, from the fault to the restored pair, and what must be true of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from hactl.lab import faults_disk
from hactl.lab.machine import Power
from tests.support import control
from tests.support.labs import Site, clean
from tests.support.violation import Violation

AUTOMATIC = ("suspected", "intent", "proof", "released", "promoted", "vip-up", "first-commit")
UNDER_WAY = 12  # commits at most at one moment: four writers, probes, heartbeats, the archive's, autovacuum
INCIDENT_WITHIN = 60.0


@dataclass(frozen=True)
class Failover:
    """`outage` in seconds; `incident` as `hactl incident show -o json` has it; `status` afterwards."""

    victim: str
    other: str
    outage: float
    fault: float
    incident: dict[str, Any]
    status: dict[str, Any]

    @property
    def phases(self) -> dict[str, float]:
        return control.after(self.incident, self.fault)


@dataclass(frozen=True)
class TakenOver:
    """A primary that was broken and has come back as the standby; `outage` in seconds, `fault` monotonic."""

    victim: str
    other: str
    outage: float
    fault: float
    status: dict[str, Any]


def fail_over(
    site: Site,
    name: str,
    act: Callable[[str], object],
    *,
    limit: float,
    meanwhile: Callable[[], object] = int,
) -> Failover:
    """As `take_over`, and hactl has opened an incident for it and closed it."""
    done = take_over(site, name, act, limit=limit, meanwhile=meanwhile)
    found = incident(site, done.fault)
    return Failover(done.victim, done.other, done.outage, done.fault, found, done.status)


def take_over(
    site: Site,
    name: str,
    act: Callable[[str], object],
    *,
    limit: float,
    meanwhile: Callable[[], object] = int,
) -> TakenOver:
    """`act` breaks the primary; it is mended by itself or as `faults.heal` would, and must come back alone.

    `meanwhile` is called right after the fault. The checker's verdict must be clean.
    """
    session = site.session(name)
    with session.running():
        time.sleep(2)
        victim, other = site.primary, site.standby
        fault = session.fault(victim, lambda: act(victim))
        meanwhile()
        session.acknowledged(5, within=90, since=fault.end)
        time.sleep(1)
        session.heal(victim, lambda: mend(site, victim))
        after = site.healthy()
        time.sleep(1)
    verdict = clean(session, limit=limit)
    assert verdict.outage
    assert verdict.outage.recovery is not None
    assert after["database"]["primary"] == after["database"]["vip"]["holder"] == other
    rejoined = {m["name"]: m for m in after["database"]["members"]}[victim]
    assert (rejoined["role"], rejoined["sync"]) == ("standby", True)
    return TakenOver(victim, other, verdict.outage.recovery, fault.begin, after)


def mend(site: Site, node: str) -> None:
    """Nobody logs in and repairs anything: disk, power, cables and clock are given back."""
    faults_disk.release_all(site.lab)
    if site.lab.machine(node).power() is Power.OFF:
        site.power_on(node)
    site.lab.heal()
    faults_disk.empty_all(site.lab)


def incident(site: Site, since: float) -> dict[str, Any]:
    """The incident of a fault, once it is closed and says what only the victim had."""
    deadline = time.monotonic() + INCIDENT_WITHIN
    while True:
        found = control.newest_incident(site.lab, since)
        if found and not found["open"] and found["lost_commits"] is not None:
            return found
        assert time.monotonic() < deadline, f"no closed incident with a ledger: {found}"
        time.sleep(1)


def whole_story(done: Failover, unwritten: Collection[str] = ()) -> None:
    """The incident tells every phase, in order, and what became of the old primary's last commits.

    `unwritten`: what a controller that died right after it was done need not have written down any more.
    """
    phases = [p["phase"] for p in done.incident["phases"]]
    must = [p for p in AUTOMATIC if p in phases or p not in unwritten]
    assert [p for p in phases if p in AUTOMATIC] == must, phases
    assert "redundancy-restored" in phases
    assert done.incident["victim"] == done.victim
    few_under_way(done.incident)


def few_under_way(incident: dict[str, Any]) -> None:
    """Commits that only the victim had: those at most that nobody was told of yet. Raises Violation."""
    ledger = incident["lost_commits"]
    assert ledger["commits"] is not None, ledger
    if ledger["commits"] > UNDER_WAY:
        raise Violation(f"commits that only the victim had: {ledger}")
