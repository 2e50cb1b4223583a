"""The units of the control plane, and what deployment hangs on them."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from hactl import layout
from hactl.deploy.bundle import watches
from hactl.render import acts, archive_guard, base, control, hactl
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from tests.support.rendered import content, files_of, rendered, sample, secrets

SPEC = sample()
AGENT = str(layout.SYSTEMD / control.AGENT)
CONTROLLER = str(layout.SYSTEMD / control.CONTROLLER)
# systemd.exec(5), version 252: with User= each of these takes sudo its power.
NO_NEW_PRIVILEGES = {
    "NoNewPrivileges", "DynamicUser", "LockPersonality", "MemoryDenyWriteExecute", "PrivateDevices",
    "ProtectClock", "ProtectHostname", "ProtectKernelLogs", "ProtectKernelModules", "ProtectKernelTunables",
    "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
    "SystemCallArchitectures", "SystemCallFilter", "SystemCallLog",
}  # fmt: skip


def options(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def paths(node: str) -> set[str]:
    return {file.path for file in files_of(node)}


@pytest.mark.parametrize("node", list(SPEC.nodes))
def test_sudo_keeps_its_power_in_the_agent(node: str) -> None:
    agent = options(content(node, AGENT))
    assert not NO_NEW_PRIVILEGES & agent.keys()
    assert {"CAP_NET_ADMIN", "CAP_SETUID", "CAP_SETGID"} <= set(agent["CapabilityBoundingSet"][0].split())
    assert agent["AmbientCapabilities"] == ["CAP_NET_ADMIN"]


def test_the_controller_has_no_power_at_all() -> None:
    controller = options(content("wit1", CONTROLLER))
    assert controller["NoNewPrivileges"] == ["yes"]
    assert controller["CapabilityBoundingSet"] == controller["AmbientCapabilities"] == [""]
    assert controller["ProtectSystem"] == ["strict"]


def test_a_frozen_agent_is_killed_inside_of_the_shortest_lease() -> None:
    agent = options(content("db1", AGENT))
    assert (agent["WatchdogSec"], agent["WatchdogSignal"]) == (["1500ms"], ["SIGKILL"])


def test_only_a_database_node_has_a_lease_to_open() -> None:
    for node in SPEC.nodes:
        database = node in SPEC.databases
        after = options(content(node, AGENT)).get("ExecStopPost", [])
        assert (f"-{layout.OPEN_LEASE}" in after) == database
        assert (str(layout.SYSTEMD / control.OPEN_TIMER) in paths(node)) == database
        assert (str(layout.TRACK_FILE) in content(node, control.TMPFILES)) == database


def test_an_archive_node_is_in_until_somebody_says_otherwise() -> None:
    for node in SPEC.nodes:
        archive = node in SPEC.archives
        after = options(content(node, AGENT)).get("ExecStopPost", [])
        assert (f"-{archive_guard.RELEASE}" in after) == archive
        assert (
            f"f {layout.ARCHIVE_TRACK} 0644 hactl hactl - 0" in content(node, control.TMPFILES)
        ) == archive
        strict = options(content(node, AGENT))["ProtectSystem"] == ["strict"]
        assert strict != archive, "a read-only copy of all mounts shows no unmount, and takes no 4 KiB"


@pytest.mark.parametrize(
    ("result", "drained", "track"),
    [
        pytest.param("success", False, "0\n", id="hactl was stopped"),
        pytest.param("success", True, "-254\n", id="somebody wants this node out"),
        pytest.param("watchdog", False, "-254\n", id="the agent died and comes back"),
    ],
)
def test_an_agent_that_was_stopped_leaves_a_fit_node_in(
    tmp_path: Path, *, result: str, drained: bool, track: str
) -> None:
    script = content("arc1", str(archive_guard.RELEASE))
    for there in (layout.RUN, layout.STATE):
        script = script.replace(str(there), str(tmp_path))
    (tmp_path / "archive-track").write_text("-254\n")
    if drained:
        (tmp_path / "archive-drain").write_text("{}")
    environment = {"PATH": "/bin:/usr/bin", "SERVICE_RESULT": result}
    subprocess.run(["/bin/sh", "-c", script], env=environment, timeout=10, check=True)
    assert (tmp_path / "archive-track").read_text() == track


@pytest.mark.parametrize(
    ("track", "restarts", "done"),
    [
        pytest.param(True, 3, [], id="the file is there"),
        pytest.param(False, 0, [], id="a first start: keepalived may hold the address already"),
        pytest.param(False, 1, ["tmpfiles", "try-restart"], id="the folder was lost under the agent"),
    ],
)
def test_a_lost_track_file_is_made_anew_and_keepalived_looks_at_it(
    tmp_path: Path, *, track: bool, restarts: int, done: list[str]
) -> None:
    (command,) = options(content("db1", AGENT))["ExecStartPre"]
    script = shlex.split(command.removeprefix("-+"))[2].replace(str(layout.RUN), str(tmp_path))
    for name, text in (
        ("systemctl", f'[ "$1" = show ] && echo {restarts} || echo "$2" >>{tmp_path}/done'),
        ("systemd-tmpfiles", f"echo tmpfiles >>{tmp_path}/done"),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    if track:
        (tmp_path / "track").write_text("0\n")
    subprocess.run(["/bin/sh", "-c", script], env={"PATH": f"{tmp_path}:/bin"}, timeout=10, check=True)
    said = tmp_path / "done"
    assert (said.read_text().split() if said.exists() else []) == done


def test_a_controller_runs_where_etcd_votes() -> None:
    assert [n for n in SPEC.nodes if CONTROLLER in paths(n)] == ["db1", "db2", "wit1"]


def test_a_node_comes_up_closed_unless_it_was_open() -> None:
    rules = options(content("db1", str(layout.SYSTEMD / base.UNIT)))
    loads = [line for line in rules["ExecStart"] if str(layout.LEASE_RULES) in line]
    assert loads == [line for line in rules["ExecReload"] if str(layout.LEASE_RULES) in line]
    assert f"! test -e {layout.OPEN_FILE}" in loads[0]
    assert f"! test -e {layout.OPEN_RUN}" in loads[0]
    assert "CAP_DAC_READ_SEARCH" in rules["CapabilityBoundingSet"][0]  # /var/lib/hactl is hactl's own
    assert str(layout.LEASE_RULES) not in content("wit1", str(layout.SYSTEMD / base.UNIT))


def test_metrics_are_for_prometheus_and_operators_only() -> None:
    port = layout.PORT_METRICS
    for node in SPEC.nodes:
        lines = re.findall(rf"^ *tcp dport {port} (.*)$", content(node, str(layout.NFT_RULES)), re.MULTILINE)
        wanted = ["ip saddr @witnesses accept", "ip saddr @operators accept", "drop"]
        assert lines == (wanted if node in SPEC.voters else [])


def fencing(path: str) -> ClusterSpec:
    agents = {
        name: agent.model_copy(update={"options": {**agent.options, "password_file": path}})
        for name, agent in SPEC.fencing.agents.items()
    }
    return SPEC.model_copy(update={"fencing": SPEC.fencing.model_copy(update={"agents": agents})})


def passwords(spec: ClusterSpec) -> list[RenderedFile]:
    return [file for file in control.render(spec, secrets(spec)) if file.path == str(layout.BMC)]


def test_the_fence_devices_password_is_the_controllers_alone() -> None:
    found = passwords(SPEC)
    assert [file.node for file in found] == ["db1", "db2", "wit1"]
    assert {(f.mode, f.owner, f.secret, f.content) for f in found} == {
        ("0600", "hactl", True, "Secret8bmc\n")
    }


def test_a_password_file_of_the_sites_own_is_not_hactls_to_write() -> None:
    assert passwords(fencing("/etc/fence/db")) == []


@pytest.mark.parametrize(
    ("unit", "path", "action"),
    [
        (control.AGENT, layout.VENV, "restart"),
        (control.AGENT, layout.SPEC_DIGEST, "restart"),
        (control.AGENT, layout.PKI / "ca.crt", "restart"),
        (control.CONTROLLER, layout.VENV, "restart"),
        (control.CONTROLLER, layout.SPEC_DIGEST, "reload"),
        ("patroni.service", layout.PATRONI_VENV, "restart"),
    ],
)
def test_what_a_running_process_holds_restarts_it(unit: str, path: object, action: str) -> None:
    assert watches("db1", rendered())[unit][str(path)] == action


def test_a_parameter_of_postgresql_restarts_nothing_of_hactls() -> None:
    digest = content("db1", str(layout.SPEC_DIGEST))
    for changed, restarts in (({"parameters": {"work_mem": "8MB"}}, False), ({"name": "other"}, True)):
        database = SPEC.database.model_copy(update=changed)
        spec = SPEC.model_copy(update={"database": database})
        (file,) = [
            f
            for f in hactl.render(spec, secrets(spec))
            if (f.node, f.path) == ("db1", str(layout.SPEC_DIGEST))
        ]
        assert (file.content != digest) is restarts


@pytest.mark.parametrize("unit", ["patroni.service", "etcd.service", "keepalived.service"])
def test_a_new_hactl_restarts_nothing_that_serves(unit: str) -> None:
    assert (
        not {str(layout.VENV), str(layout.SPEC), str(layout.SPEC_DIGEST)}
        & watches("db1", rendered())[unit].keys()
    )


def test_roots_acts_name_no_unit_of_hactls_own_and_no_postgres_elsewhere() -> None:
    for node in SPEC.nodes:
        said = acts.sentences(SPEC, node)
        assert not [sentence for sentence in said if " hactl-" in sentence]
        assert ("fence" in said) == (node in SPEC.databases)
        sudo = content(node, "/etc/sudoers.d/hactl")
        assert [line for line in sudo.splitlines() if str(layout.ACT) in line] == [
            f"hactl ALL=(root) NOPASSWD: {layout.ACT} {sentence}" for sentence in said
        ]
