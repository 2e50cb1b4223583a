"""Debian's fence_ipmilan against a simulated BMC (pyghmi) on loopback: how it answers, and how soon."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.adapters.fence_agent import FOLDER, FenceAgent
from hactl.errors import StepFailed, Unreachable
from tests.support.ports import free_network

BMC = """
import sys
from pyghmi.ipmi.bmc import Bmc

class Fake(Bmc):
    power = 1
    def get_power_state(self): return self.power
    def power_off(self): self.power = 0; return 0
    def power_on(self): self.power = 1; return 0

bmc = Fake({"hactl": "pass-word"}, port=int(sys.argv[2]), address=sys.argv[1])
bmc.power = int(sys.argv[3])
print("up", flush=True)
Bmc.listen()
"""


class Bmc:
    def __init__(self, folder: Path, power: int) -> None:
        if not (FOLDER / "fence_ipmilan").exists():
            pytest.fail("fence_ipmilan is missing: apt-get install fence-agents ipmitool")
        self.address, self.port = f"{free_network()}.1", 9623
        (folder / "password").write_text("pass-word")
        self.process = subprocess.Popen(
            [sys.executable, "-c", BMC, self.address, str(self.port), str(power)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stdout.readline().strip() == b"up"
        self.options: dict[str, str | int] = {
            "ip": self.address, "ipport": self.port, "username": "hactl", "lanplus": True, "cipher": 3,
            "password_file": str(folder / "password"),
        }  # fmt: skip

    def agent(self, **options: str | int) -> FenceAgent:
        return FenceAgent("fence_ipmilan", {**self.options, **options})

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def off(tmp_path: Path) -> Iterator[Bmc]:
    bmc = Bmc(tmp_path, 0)
    yield bmc
    bmc.stop()


@pytest.fixture
def on(tmp_path: Path) -> Iterator[Bmc]:
    bmc = Bmc(tmp_path, 1)
    yield bmc
    bmc.stop()


def test_a_machine_that_is_off_is_said_to_be_within_a_second(off: Bmc) -> None:
    began = time.monotonic()
    assert off.agent().power(within=5) == "off"
    assert time.monotonic() - began < 2  # measured 0.2 s; the machine that tests may be busy


def test_off_switches_off_and_the_status_confirms_it(on: Bmc) -> None:
    agent = on.agent()
    assert agent.power(within=5) == "on"
    agent.switch_off(within=8)
    assert agent.power(within=5) == "off"


def test_on_switches_on_what_off_switched_off(on: Bmc) -> None:
    agent = on.agent()
    agent.switch_off(within=8)
    assert agent.power(within=5) == "off"
    agent.switch_on(within=8)
    assert agent.power(within=5) == "on"


def test_on_of_a_machine_that_is_on_changes_nothing(on: Bmc) -> None:
    on.agent().switch_on(within=8)
    assert on.agent().power(within=5) == "on"


def test_a_wrong_password_is_no_status(on: Bmc, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("wrong")
    with pytest.raises((StepFailed, Unreachable)):
        on.agent(password_file=str(tmp_path / "wrong")).power(within=8)


def test_a_bmc_that_is_gone_is_no_status(on: Bmc) -> None:
    on.process.kill()
    on.process.wait()
    with pytest.raises((StepFailed, Unreachable)):
        on.agent().power(within=1.5)


def test_started_ahead_it_does_nothing_at_the_bmc_and_then_answers_sooner(on: Bmc) -> None:
    agent = on.agent()
    agent.warm()
    time.sleep(1)
    assert all(p.poll() is None for p in agent._idle)
    assert agent.power(within=5) == "on"
    agent.cool()
    assert agent.power(within=5) == "on"
