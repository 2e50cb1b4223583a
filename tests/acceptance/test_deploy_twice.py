"""The same deployment again changes nothing; another one touches what changed, in the right order."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support import control
from tests.support.labs import Site, clean

DEPLOY_WITHIN = 600.0  # seconds; a deployment that restarts everything, on a busy machine
NOTICED = 2.0  # seconds without any acknowledgement; measured: 0.5 on two cores with a load of 30
AGENT, CONTROLLER = "hactl-agent.service", "hactl-controller.service"
UNITS = {
    "database": ("etcd.service", "patroni.service", "keepalived.service", AGENT, CONTROLLER),
    "witness": ("etcd.service", "prometheus.service", "prometheus-alertmanager.service", AGENT, CONTROLLER),
    "archive": ("orthanc.service", "nginx.service", "keepalived.service", AGENT),
}


def deploy(spec: Path, *options: str, code: int = 0) -> dict[str, Any]:
    """`hactl -o json deploy`; a process of its own, as a user has it."""
    argv = [sys.executable, "-m", "hactl", "--spec", str(spec), "-o", "json", "deploy", *options]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=DEPLOY_WITHIN, check=False)
    assert done.returncode == code, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}
    return result


def starts(site: Site) -> dict[str, dict[str, str]]:
    """Node -> unit -> id of its present run: another one after a restart, the same after a reload."""
    found: dict[str, dict[str, str]] = {}
    for name, node in site.lab.spec.nodes.items():
        units = [unit for role in node.roles for unit in UNITS[role.value]]
        argv = ["systemctl", "show", "--property=InvocationID", "--value", *units]
        ids = site.lab.exec(name, argv, within=30).out.split()
        found[name] = dict(zip(units, ids, strict=True))
    return found


def restarted(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> set[tuple[str, str]]:
    return {(n, unit) for n, units in after.items() for unit, run in units.items() if run != before[n][unit]}


def test_parameters_under_load_first_without_then_with_a_restart(site: Site) -> None:
    """One series of deployments, because each takes half a minute. What it deployed last stays."""
    file = site.lab.folder.spec
    original, now = file.read_text(), int(show(site, "max_connections"))
    try:
        _certificates_and_agents_are_new_and_no_client_notices(site, file, now)
        _one_that_needs_a_restart_reaches_the_standby_first(site, file, now + 20)
    except BaseException:
        file.write_text(original)
        deploy(file, "--force")
        raise


def write(file: Path, parameters: dict[str, object]) -> None:
    document = yaml.safe_load(file.read_text())
    document["database"]["parameters"] = parameters
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def another_scrub_rate(file: Path) -> None:
    """Agents restart for what they may go by."""
    document = yaml.safe_load(file.read_text())
    scrub = document["archive"].setdefault("scrub", {})
    scrub["rate"] = 48 if scrub.get("rate") == 49 else 49
    file.write_text(yaml.safe_dump(document, sort_keys=False))


def _certificates_and_agents_are_new_and_no_client_notices(site: Site, file: Path, now: int) -> None:
    """Each agent leaves its node in mode open, and takes it back. A restart on purpose is no incident.

    All certificates are renewed; the database, etcd and keepalived take them without a restart.
    """
    before, session = starts(site), site.session("deploy-under-load")
    pauses: set[str] = set()
    renew = [sys.executable, "-m", "hactl", "--spec", str(file), "pki", "renew", "--all", "--yes"]
    subprocess.run(renew, check=True, capture_output=True, timeout=120)
    write(file, {"max_connections": now, "work_mem": "8MB"})
    another_scrub_rate(file)
    with session.running(), watching(site, pauses):
        done = session.history.doing("fault", site.primary, lambda: deploy(file))
        session.acknowledged(5, within=30, since=done.end)
    verdict = clean(session)
    assert verdict.outage
    assert verdict.outage.silence < NOTICED
    assert restarted(before, starts(site)) == {
        *((node, "orthanc.service") for node in site.lab.spec.archives),
        *((node, AGENT) for node in site.lab.spec.nodes),
        *((node, CONTROLLER) for node in site.lab.spec.voters),
    }
    assert {json.loads(value)["reason"] for value in pauses} == {"deploy"}
    _drained_one_after_the_other(site)
    assert control.etcdctl(site.lab, "get", control.own(site.lab, "paused")) == ""
    site.healthy()


def _drained_one_after_the_other(site: Site) -> None:
    """By the journal: each archive node out, in again, and only then the next one."""
    argv = [
        sys.executable,
        "-m",
        "hactl",
        "--spec",
        str(site.lab.folder.spec),
        "-o",
        "json",
        "journal",
        "tail",
    ]
    done = subprocess.run([*argv, "-n", "200"], capture_output=True, text=True, timeout=60, check=True)
    records = json.loads(done.stdout)
    began = max(n for n, r in enumerate(records) if r["action"] == "deploy")
    about = [(r["action"], r["data"]["node"]) for r in records[began:] if r["action"].startswith("archive-")
             and r["data"].get("reason") == "deploy"]  # fmt: skip
    steps = ("archive-drain", "archive-drain-done", "archive-undrain")
    assert about == [(step, node) for node in site.lab.spec.archives for step in steps]


def _one_that_needs_a_restart_reaches_the_standby_first(site: Site, file: Path, wanted: int) -> None:
    """The primary gives its role away before it restarts, so somebody always serves."""
    old_primary = site.primary
    before = show(site, "max_connections")
    write(file, {"max_connections": wanted, "work_mem": "8MB"})
    shown = deploy(file, "--check")
    assert any("max_connections" in change["diff"] for change in shown["changes"])
    assert show(site, "max_connections") == before
    deploy(file)
    assert show(site, "max_connections") == str(wanted)
    assert site.primary != old_primary
    site.healthy()


@contextmanager
def watching(site: Site, pauses: set[str]) -> Iterator[None]:
    """Collects what hactl was told to rest for, inside the block."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(1):
            said = control.etcdctl(site.lab, "get", "--print-value-only", control.own(site.lab, "paused"))
            pauses.update(said.split("\n")[:-1])

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def show(site: Site, parameter: str) -> str:
    argv = ["runuser", "-u", "postgres", "--", "psql", "-XAtc", f"SHOW {parameter}"]
    return site.lab.exec(site.primary, argv, within=30).out.strip()


def test_an_unhealthy_cluster_is_refused_with_its_findings(site: Site) -> None:
    standby = site.standby
    paused = control.own(site.lab, "paused")
    # Or hactl would have it running again within seconds.
    control.etcdctl(site.lab, "put", paused, '{"reason": "a test", "by": "pytest"}')
    site.lab.exec(standby, ["systemctl", "stop", "patroni.service"], within=90)
    try:
        site.until("degraded", lambda status: bool(status["verdict"] != "healthy"))
        said = deploy(site.lab.folder.spec, code=3)["stderr"]
        assert "the cluster is not healthy" in said
        assert standby in said
        assert "--force" in said
    finally:
        site.lab.exec(standby, ["systemctl", "start", "patroni.service"], within=90)
        control.etcdctl(site.lab, "del", paused)


def test_a_node_that_cannot_be_asked_is_named(site: Site) -> None:
    site.lab.power_off("arc2")
    try:
        assert "arc2" in deploy(site.lab.folder.spec, code=4)["stderr"]
    finally:
        site.lab.power_on("arc2")


def test_a_witness_with_an_empty_disk_joins_again_and_then_nothing_is_left_to_do(site: Site) -> None:
    """A replaced machine: nothing of hactl's on it, its name still among etcd's members.

    The deployment of everything after it changes nothing and restarts nothing, there and on all others.
    """
    lab = site.lab
    units = [unit for unit in UNITS["witness"] if unit != "etcd.service"]
    lab.exec("wit1", ["systemctl", "stop", *units, "etcd.service"], within=60)
    lab.exec("wit1", ["rm", "-rf", "/var/lib/etcd/hactl", "/var/lib/hactl-deploy", "/etc/hactl"], within=60)
    deploy(lab.folder.spec, "--limit", "wit1")
    assert site.healthy()["etcd"]["healthy"] is True
    before, primary = starts(site), site.primary
    result = deploy(lab.folder.spec)
    assert result["changes"] == []
    assert result["first"] is False
    assert starts(site) == before
    assert site.primary == primary
