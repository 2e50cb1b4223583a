"""Status, doctor and dsn as an operator calls them: whole processes, against a deployed installation."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest

from hactl.lab import faults
from hactl.lab.lab import Lab
from tests.support.labs import Site

LOOK = 2.0  # seconds that the slowest source may take


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    took: float

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def hactl(lab: Lab, *argv: str) -> Called:
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "hactl", "--spec", str(lab.folder.spec), *argv],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Called(done.returncode, done.stdout, time.monotonic() - start)


def codes(data: dict[str, Any], key: str = "reasons") -> set[tuple[str, str]]:
    return {(found["code"], found["subject"]) for found in data[key]}


def test_a_healthy_installation_has_nothing_to_complain_about(site: Site) -> None:
    site.healthy()
    assert hactl(site.lab, "status", "--check").code == 0
    examined = hactl(site.lab, "doctor", "-o", "json")
    assert [f for f in examined.data["findings"] if f["severity"] != "info"] == []
    assert examined.code == 0


def test_status_knows_every_node_by_name(site: Site) -> None:
    data = hactl(site.lab, "status", "-o", "json").data
    assert [n["name"] for n in data["nodes"]] == list(site.lab.spec.nodes)
    assert data["database"]["vip"]["holder"] == data["database"]["primary"] == site.primary
    assert data["archive"]["vip"]["holder"] in site.lab.spec.archives
    assert {m["name"]: m["sync"] for m in data["database"]["members"]} == {
        site.primary: None,
        site.standby: True,
    }
    assert data["etcd"]["leader"] in site.lab.spec.voters


@pytest.mark.parametrize("kind", ["freeze", "isolate"])
def test_a_lost_host_delays_nobody(site: Site, kind: str) -> None:
    """Frozen it still has its address and takes connections; isolated it answers nothing at all."""
    standby, usual = site.standby, hactl(site.lab, "status", "-o", "json").took
    with faults.injected(site.lab, kind, standby):
        seen = hactl(site.lab, "status", "-o", "json")
    assert seen.took < max(2 * usual, 0.5) + LOOK  # a busy machine takes long to start Python
    assert seen.data["took_seconds"] < LOOK + 0.3
    assert seen.data["verdict"] != "healthy"
    assert {("NODE_UNREACHABLE", standby), ("ETCD_MEMBER_DOWN", standby)} <= codes(seen.data)
    assert all(n["reachable"] for n in seen.data["nodes"] if n["name"] != standby)
    assert seen.data["database"]["primary"] is not None
    site.healthy()


@pytest.mark.parametrize(
    ("role", "database", "user"),
    [
        ("app", "orthanc", "orthanc"),
        ("monitor", "postgres", "hactl_monitor"),
        ("probe", "hactl", "hactl_probe"),
    ],
)
def test_psql_takes_what_dsn_prints(site: Site, role: str, database: str, user: str) -> None:
    for form in ("uri", "keyword"):
        dsn = hactl(site.lab, "dsn", "--role", role, "--format", form).out.strip()
        asked = "SELECT current_database(), current_user, pg_is_in_recovery()"
        answer = site.lab.in_ops(["psql", dsn, "-XAtqc", asked], within=20).out
        assert answer.strip() == f"{database}|{user}|f"
