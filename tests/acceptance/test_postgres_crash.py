"""The primary's postmaster is killed under load: its host goes on, so Patroni notices in its next loop."""

from __future__ import annotations

import time

from hactl.lab.faults import injected
from tests.support.labs import Site, clean

OUTAGE_LIMIT = 15.0  # seconds; Patroni sees that its PostgreSQL is gone: nobody waits for a ttl


def test_patroni_recovers_and_nothing_acknowledged_is_lost(site: Site) -> None:
    session = site.session("postgres-crash")
    with session.running():
        time.sleep(2)
        victim, before = site.primary, site.status()["database"]["timeline"]
        started = postmaster(site, victim)
        fault = session.fault(victim, lambda: crash(site, victim))
        session.acknowledged(5, within=60, since=fault.end)
        after = site.healthy()
        assert postmaster(site, victim) != started
        time.sleep(1)
    clean(session, limit=OUTAGE_LIMIT)
    members = {m["name"]: m for m in after["database"]["members"]}
    if after["database"]["primary"] == victim:  # Patroni restarted it in place
        assert after["database"]["timeline"] >= before
    else:  # primary_start_timeout 0: the standby takes over
        assert after["database"]["timeline"] > before
        assert after["database"]["vip"]["holder"] == after["database"]["primary"]
        assert (members[victim]["role"], members[victim]["sync"]) == ("standby", True)


def crash(site: Site, node: str) -> None:
    with injected(site.lab, "crash-postgres", node):
        pass  # it mends itself


def postmaster(site: Site, node: str) -> str:
    """When the node's postmaster started."""
    ask = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", "select pg_postmaster_start_time()"]
    return site.lab.exec(node, ask, within=10).out.strip()
