"""`hactl node ...` as an operator types it: what is done, what is refused, what is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.labs import Site, clean

OUTAGE_LIMIT = 6.0  # seconds; on a machine that runs a whole test
LOOKS = 5  # on a busy machine one look of 2 s may not hear from everybody, and then it is refused
LEFT_ALONE = 8.0  # seconds; the controller restarts a Patroni that is down for 3


def node(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "hactl", "--spec", str(site.lab.folder.spec), "-o", "json", "node", *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)


def done(site: Site, *words: str) -> Any:
    """What it printed, once it was not refused for a look that did not hear from everybody."""
    for _ in range(LOOKS):
        found = node(site, *words, "--yes", "--reason", "acceptance")
        if found.returncode != 3:
            break
    assert found.returncode == 0, found.stderr
    told = json.loads(found.stdout)
    assert told["done"] is True
    return told


def refused(site: Site, code: str, *words: str) -> None:
    found = node(site, *words, "--yes")
    assert found.returncode == 3, found.stderr
    assert code in found.stderr


def codes(status: dict[str, Any]) -> set[str]:
    return {reason["code"] for reason in status["reasons"]}


def started(site: Site, name: str) -> str:
    argv = ["systemctl", "show", "--value", "--property=ActiveState", "patroni.service"]
    return str(site.lab.exec(name, argv, within=10).out.strip())


@contextmanager
def stopped(site: Site, name: str) -> Iterator[None]:
    done(site, "stop", name, "--for", "10min")
    try:
        yield
    finally:
        done(site, "start", name)


def test_a_standby_is_restarted_and_nobody_notices(site: Site) -> None:
    session = site.session("node-restart")
    with session.running():
        time.sleep(1)
        standby = site.standby
        told = done(site, "restart", standby)
        time.sleep(1)
    assert told["steps"] == [f"restart PostgreSQL on {standby}, and wait until it streams"]
    clean(session, limit=OUTAGE_LIMIT)
    assert site.standby == standby


def test_what_is_stopped_is_left_alone_and_protects_the_other(site: Site) -> None:
    primary, standby = site.primary, site.standby
    refused(site, "IS_PRIMARY", "stop", primary)
    refused(site, "IS_PRIMARY", "fence", primary)
    refused(site, "IS_PRIMARY", "maintenance", primary, "on")
    with stopped(site, standby):
        status = site.until("in maintenance", lambda s: "NODE_MAINTENANCE" in codes(s))
        assert not {"STANDBY_LOST", "PATRONI_DOWN", "UNIT_NOT_RUNNING"} & codes(status)
        refused(site, "OTHER_STOPPED", "fence", primary, "--force")
        refused(site, "OTHER_IN_MAINTENANCE", "stop", next(iter(site.lab.spec.witnesses)))
        refused(site, "STOPPED", "rejoin", standby)
        time.sleep(LEFT_ALONE)
        assert started(site, standby) in {"inactive", "failed"}, "killed is failed, to systemd"
    assert "NODE_MAINTENANCE" not in codes(site.healthy())


def test_a_fenced_standby_stays_out_until_it_is_let_in(site: Site) -> None:
    primary, standby = site.primary, site.standby
    told = done(site, "fence", standby)
    assert "its agent says that its PostgreSQL is stopped" in told["proof"]
    try:
        refused(site, "OTHER_FENCED", "fence", primary, "--force")
        refused(site, "ALREADY_FENCED", "fence", standby)
        refused(site, "FENCED", "restart", standby)
        assert started(site, standby) in {"inactive", "failed"}, "killed is failed, to systemd"
    finally:
        done(site, "unfence", standby)
    site.healthy()
    assert site.primary == primary


def test_everything_is_planned_in_order_before_anything_is_done(site: Site) -> None:
    primary, standby = site.primary, site.standby
    found = node(site, "restart", "--all", "--dry-run")
    told = json.loads(found.stdout)
    assert told["vetoes"] == []
    nodes = [*(f"PostgreSQL on {n}" for n in (standby, primary)), *site.lab.spec.archives, "etcd on"]
    places = [next(i for i, step in enumerate(told["steps"]) if name in step) for name in nodes]
    assert places == sorted(places)
    refused(site, "STREAMS", "rejoin", standby)
    refused(site, "LAST_COPY", "reinit", standby)
