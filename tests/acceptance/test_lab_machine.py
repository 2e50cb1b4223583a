"""The lab's machines behave as machines: power, cables, freezing, BMCs. Real boots, nothing deployed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl import resources
from hactl.adapters import tcp
from hactl.adapters.command import run
from hactl.errors import HactlError, LockHeld, Refused, Unreachable
from hactl.lab import netns, preflight
from hactl.lab.down import down
from hactl.lab.faults import injected
from hactl.lab.lab import Lab
from hactl.lab.lock import held
from hactl.lab.machine import Power
from hactl.lab.up import up
from hactl.lab.wait import wait_until
from hactl.pki.store import Store
from hactl.ports import PortClosed, Silent

pytestmark = pytest.mark.lab
NAME = "machine-test"
OWN_SPEC = resources.folder("templates") / "lab" / "cluster.yaml"


def make() -> Lab:
    return up(NAME, OWN_SPEC.read_text(encoding="utf-8"), str(OWN_SPEC), lambda _: None)


@pytest.fixture(scope="module")
def machines() -> Iterator[Lab]:
    assert preflight.lacks() == []
    down(NAME, lambda _: None)
    yield make()
    down(NAME, lambda _: None)


@pytest.fixture
def lab(machines: Lab) -> Iterator[Lab]:
    """The lab with every fault of the test before it undone."""
    machines.heal()
    yield machines
    machines.heal()


@pytest.fixture
def bmc_password(lab: Lab, tmp_path: Path) -> Path:
    file = tmp_path / "bmc"
    file.touch(0o600)
    file.write_text(Store(lab.site.state).secrets().bmc.value, encoding="ascii")
    return file


def ipmi(lab: Lab, password: Path, *words: str, address: str = "198.51.100.11") -> str:
    argv = ["ipmitool", "-I", "lanplus", "-H", address, "-U", "hactl", "-f", str(password), *words]
    return lab.in_ops(argv, within=40).out.strip()


def boot_id(lab: Lab, node: str) -> str:
    """Different after each boot. A container sees its host's boot id, so: when its /run was made."""
    return lab.exec(node, ["stat", "-c", "%Y.%Z %i", "/run/systemd/system", "/run"]).out


def answers(lab: Lab, node: str) -> bool:
    """Whether anything at the node's address answers the operator, if only to refuse."""
    with netns.entered(lab.topology.ops_netns):
        try:
            tcp.connect(str(lab.spec.nodes[node].address), 22, within=0.6).close()
        except PortClosed:
            return True
        except Silent:
            return False
    return True


def greets(lab: Lab, node: str) -> bool:
    with netns.entered(lab.topology.ops_netns):
        return (
            tcp.SshBanner(str(lab.spec.nodes[node].address), 22, within=0.6).reachable().state.value == "ok"
        )


def power(lab: Lab, node: str) -> Power:
    return next(s.power for s in lab.status() if s.name == node)


def test_every_node_boots_as_itself(lab: Lab) -> None:
    assert [s.power for s in lab.status()] == [Power.ON] * 5
    assert [lab.exec(n, ["hostname"]).out.strip() for n in lab.nodes] == list(lab.nodes)
    assert len({lab.exec(n, ["cat", "/etc/machine-id"]).out for n in lab.nodes}) == 5


def test_a_node_runs_nothing_but_what_makes_it_a_machine(lab: Lab) -> None:
    shown = lab.exec(
        "db1", ["systemctl", "list-units", "--type=service", "--state=running", "--plain", "--no-legend"]
    )
    assert {line.split()[0] for line in shown.out.splitlines()} == {
        "dbus.service",
        "ssh.service",
        "systemd-journald.service",
        "systemd-logind.service",
    }


def test_the_operator_logs_in_with_pinned_host_keys(lab: Lab) -> None:
    site = lab.site
    strict = [
        "-o",
        "BatchMode=yes",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        f"UserKnownHostsFile={site.known_hosts}",
    ]
    for name, node in lab.spec.nodes.items():
        argv = ["ssh", "-i", str(site.ssh_key), *strict, f"root@{node.address}", "hostname"]
        assert lab.in_ops(argv).out.strip() == name


def test_names_resolve_for_the_operator_and_on_the_nodes(lab: Lab) -> None:
    assert "192.0.2.22" in lab.in_ops(["getent", "hosts", "arc2"]).out
    assert "192.0.2.22" in lab.exec("db1", ["getent", "hosts", "arc2"]).out


def test_no_namespace_of_the_lab_has_a_way_out(lab: Lab) -> None:
    for space in netns.names(lab.topology.prefix):
        assert run(["ip", "-n", space, "route", "show", "default"], within=10).out == ""


def test_a_second_up_changes_nothing(lab: Lab) -> None:
    before = {n: boot_id(lab, n) for n in lab.nodes}
    start = time.monotonic()
    make()
    assert time.monotonic() - start < 10
    assert {n: boot_id(lab, n) for n in lab.nodes} == before


def test_up_completes_what_is_missing(lab: Lab) -> None:
    before = boot_id(lab, "db2")
    lab.power_off("db1")
    run(["ip", "netns", "delete", lab.topology.ops_netns], within=10)
    bmc = lab.topology.machine("db2").bmc
    assert bmc is not None
    lab.scopes.remove(bmc.scope)
    make()
    assert power(lab, "db1") is Power.ON
    assert greets(lab, "db1")
    assert lab.runs(bmc.scope)
    assert boot_id(lab, "db2") == before


@pytest.mark.usefixtures("lab")
def test_up_refuses_another_topology() -> None:
    other = OWN_SPEC.read_text(encoding="utf-8").replace("192.0.2.21", "192.0.2.29")
    with pytest.raises(Refused, match="other nodes or addresses"):
        up(NAME, other, "other", lambda _: None)


def test_one_hactl_at_a_time(lab: Lab) -> None:
    with held(lab.folder.path, "the lab"), pytest.raises(LockHeld):
        make()


def test_the_bmc_cuts_the_power_and_gives_it_back(lab: Lab, bmc_password: Path) -> None:
    lab.exec("db1", ["sh", "-c", "echo kept > /root/mark && sync"])
    before = boot_id(lab, "db1")
    assert ipmi(lab, bmc_password, "chassis", "power", "status") == "Chassis Power is on"
    ipmi(lab, bmc_password, "chassis", "power", "off")
    assert power(lab, "db1") is Power.OFF
    assert ipmi(lab, bmc_password, "chassis", "power", "status") == "Chassis Power is off"
    assert not answers(lab, "db1"), "a host without power must be silent, not refuse"
    with pytest.raises(Unreachable, match="db1 is off"):
        lab.exec("db1", ["true"])
    ipmi(lab, bmc_password, "chassis", "power", "on")
    lab.wait_booted(["db1"])
    assert lab.exec("db1", ["cat", "/root/mark"]).out == "kept\n"
    assert boot_id(lab, "db1") != before


def test_the_bmc_resets_and_shuts_down_softly(lab: Lab, bmc_password: Path) -> None:
    before = boot_id(lab, "db1")
    ipmi(lab, bmc_password, "chassis", "power", "reset")
    lab.wait_booted(["db1"])
    assert boot_id(lab, "db1") != before
    ipmi(lab, bmc_password, "chassis", "power", "soft")
    wait_until(lambda: power(lab, "db1") is Power.OFF, within=20, say=lambda: "no soft power-off within 20 s")
    wait_until(lambda: not answers(lab, "db1"), within=5, say=lambda: "a machine that is down still answers")
    assert "Chassis Power is off" in ipmi(lab, bmc_password, "chassis", "power", "status")


def test_the_bmc_of_a_frozen_and_isolated_machine_still_works(lab: Lab, bmc_password: Path) -> None:
    lab.isolate("db2")
    lab.freeze("db2")
    assert "is on" in ipmi(lab, bmc_password, "chassis", "power", "status", address="198.51.100.12")
    ipmi(lab, bmc_password, "chassis", "power", "off", address="198.51.100.12")
    assert power(lab, "db2") is Power.OFF


def test_the_bmc_wants_its_password(lab: Lab, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong", encoding="ascii")
    argv = [
        "ipmitool",
        "-I",
        "lanplus",
        "-R",
        "1",
        "-H",
        "198.51.100.11",
        "-U",
        "hactl",
        "-f",
        str(wrong),
        "chassis",
        "power",
        "off",
    ]
    assert lab.in_ops(argv, within=40, check=False).code != 0
    assert power(lab, "db1") is Power.ON


def test_only_the_controllers_reach_the_bmcs(lab: Lab) -> None:
    route = ["ip", "route", "get", "198.51.100.11"]
    assert lab.exec("db2", route, check=False).code == 0
    assert lab.exec("wit1", route, check=False).code == 0
    assert lab.exec("arc1", route, check=False).code != 0


def test_a_frozen_machine_says_nothing_until_it_thaws(lab: Lab) -> None:
    lab.freeze("wit1")
    assert power(lab, "wit1") is Power.FROZEN
    assert not greets(lab, "wit1")
    assert answers(lab, "wit1"), "its kernel still takes connections: that is what makes a frozen host grey"
    lab.thaw("wit1")
    assert greets(lab, "wit1")


def test_an_isolated_machine_runs_on_unheard(lab: Lab) -> None:
    before = boot_id(lab, "arc1")
    lab.isolate("arc1")
    assert not answers(lab, "arc1")
    assert lab.exec("arc1", ["cat", "/sys/class/net/host0/carrier"]).out.strip() == "1"
    lab.join("arc1")
    assert greets(lab, "arc1")
    assert boot_id(lab, "arc1") == before


def test_a_fault_heals_when_its_block_fails(lab: Lab) -> None:
    def drill() -> None:
        with injected(lab, "isolate", "db1"):
            assert not answers(lab, "db1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drill()
    assert greets(lab, "db1")


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_fault_heals_when_its_command_is_interrupted(lab: Lab, stop: signal.Signals) -> None:
    argv = [sys.executable, "-m", "hactl", "lab", "fault", "--name", NAME, "--for", "10min", "freeze", "db1"]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as command:
        wait_until(lambda: power(lab, "db1") is Power.FROZEN, within=20, say=lambda: "not frozen")
        command.send_signal(stop)
        assert command.wait(30) == 130
    assert power(lab, "db1") is Power.ON


def test_a_reboot_from_inside_forgets_what_a_reboot_forgets(lab: Lab) -> None:
    before = boot_id(lab, "db1")
    lab.exec("db1", ["ip", "address", "add", "192.0.2.100/24", "dev", "host0"])
    lab.exec("db1", ["nft", "add", "table", "inet", "trial"])
    assert "192.0.2.100" in map(str, lab.addresses("db1"))
    lab.exec("db1", ["systemctl", "reboot"], check=False)
    wait_until(lambda: _rebooted(lab, before), within=30, say=lambda: "db1 did not reboot within 30 s")
    assert list(map(str, lab.addresses("db1"))) == ["192.0.2.11"]
    assert lab.exec("db1", ["nft", "list", "ruleset"]).out == ""


def _rebooted(lab: Lab, before: str) -> bool:
    try:
        return boot_id(lab, "db1") != before and greets(lab, "db1")
    except HactlError:  # it is off, or the look at it was killed with it
        return False


def test_a_shutdown_from_inside_leaves_its_addresses_unanswered(lab: Lab) -> None:
    lab.exec("arc2", ["systemctl", "poweroff"], check=False)
    wait_until(lambda: power(lab, "arc2") is Power.OFF, within=20, say=lambda: "arc2 still runs")
    wait_until(lambda: not answers(lab, "arc2"), within=5, say=lambda: "a machine that is down still answers")


def test_archive_machines_share_their_storage(lab: Lab) -> None:
    lab.exec("arc1", ["setpriv", "--reuid=orthanc", "--clear-groups", "touch", "/srv/images/seen"])
    assert lab.exec("arc2", ["stat", "-c", "%U", "/srv/images/seen"]).out == "orthanc\n"
    assert lab.exec("db1", ["ls", "/srv/images"], check=False).code != 0


def test_crash_postgres_says_when_there_is_none(lab: Lab) -> None:
    with pytest.raises(Refused, match="no PostgreSQL runs on wit1"):
        lab.crash_postgres("wit1")


def test_heal_says_what_it_did(lab: Lab) -> None:
    lab.power_off("db1")
    lab.freeze("db2")
    lab.isolate("arc1")
    assert lab.heal() == ["db1 powered on", "db2 thawed", "arc1 joined"]
    assert lab.heal() == []
