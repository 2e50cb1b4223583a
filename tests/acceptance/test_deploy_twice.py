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


def test_a_second_deployment_changes_nothing_and_restarts_nothing(site: Site) -> None:
    before, primary = starts(site), site.primary
    result = deploy(site.lab.folder.spec)
    assert result["changes"] == []
    assert result["first"] is False
    assert starts(site) == before
    assert site.primary == primary


def test_renewed_certificates_are_taken_over_without_a_restart_of_the_database(site: Site) -> None:
    before = starts(site)
    argv = [
        sys.executable,
        "-m",
        "hactl",
        "--spec",
        str(site.lab.folder.spec),
        "pki",
        "renew",
        "--all",
        "--yes",
    ]
    subprocess.run(argv, check=True, capture_output=True, timeout=120)
    deploy(site.lab.folder.spec)
    assert restarted(before, starts(site)) == {
        *((node, "orthanc.service") for node in site.lab.spec.archives),
        *((node, AGENT) for node in site.lab.spec.nodes),
        *((node, CONTROLLER) for node in site.lab.spec.voters),
    }
    site.healthy()


def restarted(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> set[tuple[str, str]]:
    return {(n, unit) for n, units in after.items() for unit, run in units.items() if run != before[n][unit]}


def test_parameters_under_load_first_without_then_with_a_restart(site: Site) -> None:
    """One series of deployments, because each takes half a minute."""
    file = site.lab.folder.spec
    original = file.read_text()
    try:
        _agents_are_restarted_and_no_client_notices(site, file)
        _one_that_needs_a_restart_reaches_the_standby_first(site, file)
    finally:
        file.write_text(original)
        deploy(file)
    assert show(site, "max_connections") == "200"


def write(file: Path, parameters: dict[str, object]) -> None:
    document = yaml.safe_load(file.read_text())
    document["database"]["parameters"] = parameters
    document["archive"]["scrub"] = {"rate": 49}  # agents restart for what they may go by
    file.write_text(yaml.safe_dump(document))


def _agents_are_restarted_and_no_client_notices(site: Site, file: Path) -> None:
    """Each leaves its node in mode open, and takes it back. What is restarted on purpose is no incident."""
    before, session = starts(site), site.session("deploy-under-load")
    pauses: set[str] = set()
    write(file, {"max_connections": 200, "work_mem": "8MB"})
    with session.running(), watching(site, pauses):
        done = session.history.doing("fault", site.primary, lambda: deploy(file))
        session.acknowledged(5, within=30, since=done.end)
    verdict = clean(session)
    assert verdict.outage
    assert verdict.outage.silence < NOTICED
    assert restarted(before, starts(site)) == {(node, AGENT) for node in site.lab.spec.nodes}
    assert {json.loads(value)["reason"] for value in pauses} == {"deploy"}
    assert control.etcdctl(site.lab, "get", control.own(site.lab, "paused")) == ""
    site.healthy()


def _one_that_needs_a_restart_reaches_the_standby_first(site: Site, file: Path) -> None:
    """The primary gives its role away before it restarts, so somebody always serves."""
    old_primary = site.primary
    write(file, {"max_connections": 220, "work_mem": "8MB"})
    shown = deploy(file, "--check")
    assert any("max_connections" in change["diff"] for change in shown["changes"])
    assert show(site, "max_connections") == "200"
    deploy(file)
    assert show(site, "max_connections") == "220"
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


def test_a_witness_with_an_empty_disk_joins_again(site: Site) -> None:
    """A replaced machine: nothing of hactl's on it, its name still among etcd's members."""
    lab = site.lab
    units = [unit for unit in UNITS["witness"] if unit != "etcd.service"]
    lab.exec("wit1", ["systemctl", "stop", *units, "etcd.service"], within=60)
    lab.exec("wit1", ["rm", "-rf", "/var/lib/etcd/hactl", "/var/lib/hactl-deploy", "/etc/hactl"], within=60)
    deploy(lab.folder.spec, "--limit", "wit1")
    assert site.healthy()["etcd"]["healthy"] is True
    assert deploy(lab.folder.spec)["changes"] == []
