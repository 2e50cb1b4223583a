"""A session through the VIP outlives elections of etcd's: the lease is longer than one, and drops only."""

from __future__ import annotations

import time
from collections.abc import Callable

from hactl.drill.link import Link
from hactl.lab import faults
from tests.support import control
from tests.support.labs import Site

ASK = "select pg_backend_pid()"
STALL = 4.0  # seconds; an election takes at most 2.2, and no lease may end meanwhile


def longest_answer(link: Link, until: float) -> float:
    """Asks again and again over one connection; the longest time that an answer took."""
    longest = 0.0
    while time.monotonic() < until:
        begin = time.monotonic()
        link.run(ASK, within=STALL)
        longest = max(longest, time.monotonic() - begin)
        time.sleep(0.02)
    return longest


def test_a_session_survives_a_handover_and_a_crash_of_etcds_leader(site: Site) -> None:
    primary, timeline = site.primary, site.status()["database"]["timeline"]
    link = Link.open(site.ground.database, 5)
    try:
        pid = link.run(ASK, within=STALL)
        took = [during(site, link, hand_over), during(site, link, kill_leader)]
        assert link.run(ASK, within=STALL) == pid
    finally:
        link.close()
    assert max(took) < STALL
    assert (site.primary, site.status()["database"]["timeline"]) == (primary, timeline)


def during(site: Site, link: Link, act: Callable[[Site], None]) -> float:
    act(site)
    return longest_answer(link, time.monotonic() + 6)


def hand_over(site: Site) -> None:
    leader = site.status()["etcd"]["leader"]
    ids = {
        words[2].strip(): words[0].strip()
        for line in control.etcdctl(site.lab, "member", "list").splitlines()
        if len(words := line.split(",")) > 3
    }
    target = next(node for node in ids if node != leader)
    control.etcdctl(site.lab, "move-leader", ids[target])


def kill_leader(site: Site) -> None:
    faults.fault("kill-etcd").inject(site.lab, site.status()["etcd"]["leader"])
