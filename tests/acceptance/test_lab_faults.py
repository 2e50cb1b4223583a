"""Faults of single programs and single cables, on bare machines: what they do, and how they end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from hactl.errors import Refused, UsageError
from hactl.lab import faults, faults_process, preflight
from hactl.lab.down import down
from hactl.lab.faults import injected
from hactl.lab.folder import LABS
from hactl.lab.lab import Lab
from hactl.lab.wait import wait_until

NAME = "faults-test"
UNIT = "systemd-logind.service"  # any that systemd restarts by itself


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    assert preflight.lacks() == []
    down(NAME, lambda _: None)
    argv = [sys.executable, "-m", "hactl", "lab", "up", "--name", NAME, "--no-deploy"]
    subprocess.run(argv, check=True, capture_output=True, timeout=900)
    yield Lab.open(LABS / NAME)
    down(NAME, lambda _: None)


def reaches(lab: Lab, node: str, other: str) -> bool:
    address = str(lab.spec.nodes[other].address)
    script = f"import socket; socket.create_connection(('{address}', 22), 0.5).close()"
    return lab.exec(node, ["/usr/bin/python3", "-c", script], check=False).code == 0


def main_pid(lab: Lab) -> int:
    return int(lab.exec("db1", ["systemctl", "show", "--property=MainPID", "--value", UNIT]).out)


def state_of(lab: Lab, pid: int) -> str:
    return lab.exec("db1", ["ps", "-o", "stat=", "-p", str(pid)], check=False).out.strip()[:1]


def test_a_cut_is_between_two_and_heals(lab: Lab) -> None:
    with injected(lab, "cut", "db1", "db2"):
        assert not reaches(lab, "db1", "db2")
        assert not reaches(lab, "db2", "db1")
        assert reaches(lab, "db1", "wit1")
        assert reaches(lab, "wit1", "db2")
    assert reaches(lab, "db1", "db2")


def test_one_way_lets_the_other_way_through(lab: Lab) -> None:
    """A connection needs both; a datagram says which one is left."""
    lab.exec("db1", ["rm", "-f", "/root/heard"])
    script = "import socket; s = socket.socket(type=2); s.bind(('', 9)); s.settimeout(20); print(s.recv(9))"
    listen = f'echo ready; exec python3 -c "{script}" >/root/heard'
    with injected(lab, "one-way", "db1", "db2"):
        assert not reaches(lab, "db2", "db1")
        argv = lab.machine("db1").exec_argv(["sh", "-c", listen])
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as listener:
            wait_until(lambda: heard(lab), within=15, say=lambda: "db1 heard nothing from db2")
            listener.wait(10)
    assert reaches(lab, "db2", "db1")


def heard(lab: Lab) -> bool:
    address = str(lab.spec.nodes["db1"].address)
    said = f"import socket; socket.socket(type=2).sendto(b'here', ('{address}', 9))"
    lab.exec("db2", ["python3", "-c", said])
    return "here" in lab.exec("db1", ["cat", "/root/heard"], check=False).out


def test_loss_of_nearly_everything_is_a_cut_and_heal_ends_it(lab: Lab) -> None:
    faults.fault("loss", "99").inject(lab, "arc1")
    assert not reaches(lab, "arc1", "db1")
    assert reaches(lab, "db1", "db2")
    assert faults.heal(lab) == ["loss arc1 undone"]
    assert reaches(lab, "arc1", "db1")
    with pytest.raises(UsageError, match="percentage"):
        faults.fault("loss", "much").inject(lab, "arc1")


def test_a_frozen_program_goes_on_when_healed(lab: Lab) -> None:
    pid = main_pid(lab)
    faults_process.freeze(lab, "db1", UNIT)
    assert state_of(lab, pid) == "T"
    faults_process.thaw(lab, "db1", UNIT)
    wait_until(lambda: state_of(lab, pid) == "S", within=5, say=lambda: "still stopped")


def test_a_killed_program_comes_back_and_a_lost_one_when_healed(lab: Lab) -> None:
    first = main_pid(lab)
    faults_process.kill(lab, "db1", UNIT)
    wait_until(lambda: main_pid(lab) not in {0, first}, within=10, say=lambda: "not restarted")
    faults_process.lose(lab, "db1", UNIT)
    wait_until(lambda: main_pid(lab) == 0, within=5, say=lambda: "still there")
    with pytest.raises(Refused, match="does not run"):
        faults_process.kill(lab, "db1", UNIT)
    faults_process.thaw(lab, "db1", UNIT)
    assert main_pid(lab) != 0


def test_what_is_not_deployed_cannot_be_broken(lab: Lab) -> None:
    with pytest.raises(Refused, match="hactl-agent"):
        faults.fault("kill-agent").inject(lab, "db1")
    with pytest.raises(Refused, match="PostgreSQL"):
        faults.fault("freeze-postgres").inject(lab, "db1")
    faults.fault("stop-hactl").inject(lab, "all")
