"""The primary's host loses its power under load, while a modality stores images."""

from __future__ import annotations

import time

from tests.support import control
from tests.support.failovers import AUTOMATIC, few_under_way, incident
from tests.support.labs import Site, clean, stored

OUTAGE_LIMIT = 10.0  # seconds; a bound for a busy machine: Patroni alone needs more than 20


def test_everything_acknowledged_survives_and_the_old_primary_rejoins(site: Site) -> None:
    session = site.session("primary-power-off")
    with session.running(), site.sending(session) as modality:
        time.sleep(3)
        victim, other = site.primary, site.standby
        status = site.status()
        before, archive = status["database"]["timeline"], status["archive"]["vip"]["holder"]
        fault = session.fault(victim, lambda: site.lab.power_off(victim))
        session.acknowledged(5, within=90, since=fault.end)
        stored(session, 3, since=fault.end, within=90)
        session.heal(victim, lambda: site.power_on(victim))
        after = site.healthy()
        time.sleep(1)
    clean(session, session.images(modality.images), limit=OUTAGE_LIMIT)
    assert after["database"]["primary"] == other
    assert after["database"]["vip"]["holder"] == other
    assert after["database"]["timeline"] > before
    assert after["archive"]["vip"]["holder"] == archive, "no archive node did better meanwhile"
    rejoined = {m["name"]: m for m in after["database"]["members"]}[victim]
    assert (rejoined["role"], rejoined["sync"]) == ("standby", True)
    told = incident(site, fault.begin)
    phases = [p["phase"] for p in told["phases"]]
    assert [p for p in phases if p in AUTOMATIC] == list(AUTOMATIC)
    few_under_way(told)
    control.hactl(site.lab, "journal", "verify")
