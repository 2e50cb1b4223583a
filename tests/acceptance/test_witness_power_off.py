"""The witness loses its power: it holds no data, and two of three votes are left."""

from __future__ import annotations

import time

from tests.support.labs import Site, clean

STALL_LIMIT = 3.0  # seconds; writes need no etcd, but a new etcd leader may be needed for Patroni's own loop


def test_nothing_happens_to_the_data_path(site: Site) -> None:
    session = site.session("witness-power-off")
    (witness,) = site.lab.spec.witnesses
    with session.running():
        time.sleep(2)
        before = site.status()["database"]
        fault = session.fault(witness, lambda: site.lab.power_off(witness))
        session.acknowledged(5, within=30, since=fault.end)
        without = site.until("degraded", lambda status: bool(status["verdict"] == "degraded"), 60)
        time.sleep(10)  # half of Patroni's ttl again: a leader that could not renew its key would show by now
        session.heal(witness, lambda: site.lab.power_on(witness, wait=False))
        after = site.healthy()
        time.sleep(1)
    verdict = clean(session, limit=STALL_LIMIT)
    assert verdict.outage
    assert verdict.outage.silence < STALL_LIMIT
    for status in (without, after):
        assert status["database"]["primary"] == before["primary"]
        assert status["database"]["timeline"] == before["timeline"]
        assert status["database"]["vip"]["holder"] == before["vip"]["holder"]
