"""`hactl failover --to NODE` as an operator types it: a living primary, a dead one, no controllers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.labs import Site, clean

OUTAGE_LIMIT = 15.0  # seconds; a kill, its proof, a promotion, on a machine that runs a whole test
LOOKS = 5  # on a busy machine one look of 2 s may not hear from everybody, and then it is refused


def hactl(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), "-o", "json", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def forced(site: Site, target: str) -> Any:
    for _ in range(LOOKS):
        found = hactl(site, "failover", "--to", target, "--force", "--yes", "--reason", "acceptance")
        if found.returncode != 3:
            break
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


@contextmanager
def paused(site: Site) -> Iterator[None]:
    assert hactl(site, "pause", "--for", "10min", "--yes", "--reason", "acceptance").returncode == 0
    try:
        yield
    finally:
        assert hactl(site, "resume", "--yes").returncode == 0


def test_a_living_primary_is_not_killed_without_force(site: Site) -> None:
    primary, standby = site.primary, site.standby
    found = hactl(site, "failover", "--to", standby, "--yes")
    assert found.returncode == 3
    assert "PRIMARY_ANSWERS" in found.stderr
    found = hactl(site, "failover", "--to", primary, "--yes", "--force", "--reason", "x")
    assert found.returncode == 3
    assert "ALREADY_PRIMARY" in found.stderr
    assert site.primary == primary


def test_a_living_primary_gives_way_and_nothing_is_lost(site: Site) -> None:
    session = site.session("failover-by-hand")
    with session.running():
        time.sleep(1)
        primary, standby = site.primary, site.standby
        session.fault(primary, lambda: None)
        told = forced(site, standby)
        session.heal(primary, lambda: None)
        site.healthy()
        time.sleep(1)
    assert told["proof_kind"] == "self-fenced"
    assert told["loss"]["nothing"] is True
    assert told["readmitted"] is True
    assert site.primary == standby
    shown = json.loads(hactl(site, "incident", "show", told["incident"]).stdout)
    assert (shown["victim"], shown["standby"], shown["automatic"]) == (primary, standby, False)
    assert [p["phase"] for p in shown["phases"]] == [
        "intent",
        "proof",
        "released",
        "promoted",
        "first-commit",
    ]
    assert all(p["exact"] for p in shown["phases"]), "by one clock"
    clean(session, limit=OUTAGE_LIMIT)


def test_paused_and_the_primary_dead_a_person_orders_it(site: Site) -> None:
    primary, standby = site.primary, site.standby
    with paused(site):
        site.lab.power_off(primary)
        try:
            told = forced(site, standby)
            assert "PAUSED" in [v["code"] for v in told["vetoes"]]
            assert told["proof_kind"] in {"lease-expired", "power-off"}
            assert told["readmitted"] is False
        finally:
            site.power_on(primary)
    found = hactl(site, "node", "unfence", primary, "--yes", "--reason", "acceptance")
    assert found.returncode == 0, found.stderr
    site.healthy()
    assert site.primary == standby


def test_without_any_controller(site: Site) -> None:
    primary, standby = site.primary, site.standby
    voters = list(site.lab.spec.voters)
    for name in voters:
        site.lab.exec(name, ["systemctl", "stop", "hactl-controller.service"], within=60)
    try:
        told = forced(site, standby)
    finally:
        for name in voters:
            site.lab.exec(name, ["systemctl", "start", "hactl-controller.service"], within=60)
    assert told["commit"] is True
    site.healthy()
    assert site.primary == standby
    assert primary != standby
