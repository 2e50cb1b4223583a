"""`hactl config` as an operator types it: nothing restarts for a parameter, and what hands did is found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.test_deploy_twice import DEPLOY_WITHIN, deploy, restarted, show, starts
from tests.support.archive_nodes import until
from tests.support.labs import Site

AS_POSTGRES = ["runuser", "-u", "postgres", "--"]
PATRONICTL = [*AS_POSTGRES, "/opt/patroni/bin/patronictl", "-c", "/etc/patroni/hactl.yml"]


def ran(site: Site, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [
        sys.executable,
        "-m",
        "hactl",
        "--spec",
        str(site.lab.folder.spec),
        "-o",
        "json",
        "config",
        *words,
    ]
    return subprocess.run(argv, capture_output=True, text=True, timeout=DEPLOY_WITHIN, check=False)


def config(site: Site, *words: str, code: int = 0) -> Any:
    """`hactl -o json config`: its document; of one that fails before it has any, what it said."""
    done = ran(site, *words)
    assert done.returncode == code, (done.stdout[-2000:], done.stderr[-3000:])
    return json.loads(done.stdout) if done.stdout else done.stderr


def sql(site: Site, node: str, *statements: str) -> None:
    words = [word for statement in (*statements, "select pg_reload_conf()") for word in ("-c", statement)]
    site.lab.exec(node, [*AS_POSTGRES, "psql", "-qX", *words], within=30)


@pytest.fixture
def deployed(site: Site) -> Iterator[int]:
    """The number of the newest version, which is put back at the end.

    A deployment takes a quarter of a minute, a look whether there is anything to deploy a few seconds.
    """
    file = site.lab.folder.spec
    original = file.read_text()
    if not as_deployed(site):
        deploy(file)
    try:
        yield config(site, "history")["versions"][-1]["number"]
    finally:
        if file.read_text() != original or not as_deployed(site):
            file.write_text(original)
            deploy(file)


def as_deployed(site: Site) -> bool:
    """Recorded, and what Patroni, the running servers and all files on the nodes are."""
    done = ran(site, "drift")
    return done.returncode == 0 and json.loads(done.stdout)["recorded"] is not None


def drifted(site: Site) -> set[tuple[str, str, str]]:
    return {(d["kind"], d["name"], d["node"]) for d in config(site, "drift", code=7)["drift"]}


def test_edit_and_back(site: Site, deployed: int) -> None:
    """One series, because each deployment takes a quarter of a minute or more."""
    assert config(site, "drift")["drift"] == []
    _what_cannot_be_is_refused_and_leaves_nothing(site, deployed)
    before, primary = starts(site), site.primary
    memory, connections = show(site, "work_mem"), show(site, "max_connections")
    more = f"max_connections={int(connections) + 30}"
    done = config(site, "edit", "--set", "work_mem=9MB", "--set", more, "--yes", "--reason", "a try")
    assert {d["name"] for d in done["pending_restarts"]} == {"max_connections"}
    assert (show(site, "work_mem"), show(site, "max_connections")) == ("9MB", connections)
    assert restarted(before, starts(site)) == set(), "neither PostgreSQL nor anything of hactl's"
    assert site.primary == primary
    waiting = config(site, "drift", code=7)
    assert waiting["drift"] == []
    assert {(d["name"], d["node"]) for d in waiting["pending_restarts"]} == {
        ("max_connections", node) for node in site.lab.spec.databases
    }
    config(site, "rollback", str(deployed), "--yes")
    assert show(site, "work_mem") == memory
    assert [v["how"] for v in config(site, "history")["versions"]][-2:] == ["edit", f"rollback to {deployed}"]
    assert config(site, "drift")["drift"] == []


def _what_cannot_be_is_refused_and_leaves_nothing(site: Site, deployed: int) -> None:
    text = site.lab.folder.spec.read_text()
    pairs = ("work_mem=1kB", "max_connections=10", "min_wal_size=16MB")
    said = config(site, "edit", *(word for pair in pairs for word in ("--set", pair)), "--yes", code=3)
    assert "work_mem must lie between" in said
    assert "Patroni takes its own 100" in said
    assert "two WAL segments" in said
    assert "Mars" in config(site, "edit", "--set", "log_timezone=Mars", "--yes", code=3)
    assert "fencing.lease" in config(site, "edit", "--set", "ttl=30", "--yes", code=3)
    assert site.lab.folder.spec.read_text() == text
    assert config(site, "history")["versions"][-1]["number"] == deployed


def test_what_hands_did_is_found_on_its_host(site: Site, deployed: int) -> None:
    standby = site.standby
    sql(site, standby, "alter system set work_mem = '7MB'")
    site.lab.exec(standby, [*PATRONICTL, "edit-config", "--force", "-s", "ttl=10"], within=60)
    try:
        wanted = {("clamped", "ttl", ""), ("running", "work_mem", standby)}
        until("each Patroni has read it", lambda: drifted(site) == wanted, 10)
        (row,) = config(site, "show", "ttl")["settings"]
        assert (row["spec"], row["patroni"], row["effective"]) == ("20", "10", "20")
    finally:
        sql(site, standby, "alter system reset work_mem")
    deploy(site.lab.folder.spec)
    assert config(site, "drift")["drift"] == []
    assert config(site, "history")["versions"][-1]["number"] == deployed, "the same spec is no new version"
