"""The standby's host loses its power: the primary goes on alone after a short wait, and says so."""

from __future__ import annotations

import time

from tests.support.labs import Site, clean

STALL_LIMIT = (
    12.0  # seconds; wal_sender_timeout 2 s, then Patroni's next loop drops it from the synchronous ones
)


def test_the_primary_goes_on_alone_and_takes_the_standby_back(site: Site) -> None:
    session = site.session("standby-power-off")
    with session.running():
        time.sleep(2)
        primary, victim = site.primary, site.standby
        before = site.status()["database"]["timeline"]
        fault = session.fault(victim, lambda: site.lab.power_off(victim))
        session.acknowledged(5, within=60, since=fault.end)
        alone = site.until("degraded", lambda status: bool(status["verdict"] == "degraded"), 60)
        time.sleep(2)
        session.heal(victim, lambda: site.power_on(victim))
        after = site.healthy()
        time.sleep(1)
    verdict = clean(session, limit=STALL_LIMIT)
    assert verdict.outage
    assert verdict.outage.silence < STALL_LIMIT
    assert alone["database"]["primary"] == after["database"]["primary"] == primary
    assert after["database"]["timeline"] == before
