"""The fence agent adapter against a scripted agent: what counts is what it prints, not how it ends."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from pathlib import Path

import pytest

from hactl.adapters.fence_agent import FenceAgent
from hactl.errors import Refused, StepFailed, Unreachable

# Writes what it was given beside itself, then does what the test wants.
SCRIPT = """#!/bin/sh
here=$(dirname "$0")
echo "$@" > "$here/argv"
cat > "$here/given"
action=$(sed -n 's/^action=//p' "$here/given")
. "$here/plan"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    script = tmp_path / "fence_fake"
    script.write_text(SCRIPT)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "password").write_text("s3cret\n")
    return tmp_path


def _agent(folder: Path, plan: str, **options: str | int) -> FenceAgent:
    (folder / "plan").write_text(plan)
    given = {"ip": "198.51.100.11", "password_file": str(folder / "password"), **options}
    return FenceAgent("fence_fake", given, folder=folder)


@pytest.mark.parametrize(
    ("plan", "power"),
    [
        ("echo 'Status: OFF'; exit 2", "off"),
        ("echo 'Status: ON'; exit 0", "on"),
        ("echo 'WARNING: old options'; echo 'Status: OFF'; exit 2", "off"),
    ],
)
def test_power_is_what_the_status_prints(folder: Path, plan: str, power: str) -> None:
    assert _agent(folder, plan).power(within=5) == power


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param("exit 2", id="2 is also 'bad arguments'"),
        pytest.param("exit 0", id="nothing said"),
        pytest.param("echo 'Status: OFF'; exit 0", id="text and code disagree"),
        pytest.param("echo 'Status: ON'; exit 2", id="text and code disagree, the other way"),
        pytest.param("echo 'Status: UNKNOWN'; exit 1", id="the device does not know"),
        pytest.param("echo 'not Status: OFF at all'; exit 2", id="a sentence with the words in it"),
    ],
)
def test_anything_else_is_no_status(folder: Path, plan: str) -> None:
    with pytest.raises(StepFailed):
        _agent(folder, plan).power(within=5)


def test_options_and_password_go_over_standard_input_only(folder: Path) -> None:
    _agent(folder, "echo 'Status: ON'", lanplus=True, cipher=3).power(within=5)
    given = (folder / "given").read_text().splitlines()
    assert "password=s3cret" in given
    assert "action=status" in given
    assert {"lanplus=1", "cipher=3", "ip=198.51.100.11", "power_wait=0"} <= set(given)
    assert not any(line.startswith("password_file") for line in given)
    assert (folder / "argv").read_text().strip() == ""


def test_a_failing_off_is_said(folder: Path) -> None:
    with pytest.raises(StepFailed, match="no such chassis"):
        _agent(folder, "echo 'no such chassis'; exit 1").switch_off(within=5)


def test_a_failing_on_is_said(folder: Path) -> None:
    with pytest.raises(StepFailed, match="on ended with code 1: no such chassis"):
        _agent(folder, "echo 'no such chassis'; exit 1").switch_on(within=5)


def test_on_is_asked_for_by_that_word_and_proves_nothing_by_itself(folder: Path) -> None:
    agent = _agent(
        folder, "[ $action = on ] && { echo Success: Powered ON; exit 0; }; echo 'Status: OFF'; exit 2"
    )
    assert agent.switch_on(within=5) == "Success: Powered ON"
    assert "action=on" in (folder / "given").read_text().splitlines()
    assert agent.power(within=5) == "off"


def test_off_that_ends_well_proves_nothing_by_itself(folder: Path) -> None:
    agent = _agent(folder, "[ $action = off ] && { echo Success; exit 0; }; echo 'Status: ON'; exit 0")
    assert agent.switch_off(within=5) == "Success"
    assert agent.power(within=5) == "on"


def test_an_off_that_is_too_late_is_not_handed_over(folder: Path) -> None:
    agent = _agent(folder, "echo Success")
    with pytest.raises(Refused, match="too late"):
        agent.switch_off(within=5, may=lambda: False)
    given = folder / "given"
    assert not given.exists() or "action" not in given.read_text()


def _sleepers(mark: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if f"sleep {mark}" in line:
                found.append(line)
    return found


def _ended(mark: str) -> bool:
    """A killed orphan is there until the kernel has had time for it; one that lives on sleeps for 97 s."""
    end = time.monotonic() + 5
    while _sleepers(mark):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_an_agent_without_an_answer_is_ended_with_its_children(folder: Path) -> None:
    mark = f"97.{os.getpid()}"
    with pytest.raises(Unreachable, match="no answer within"):
        _agent(folder, f"sleep {mark}").power(within=0.4)
    assert _ended(mark)


def test_called_off_it_ends_at_once_and_starts_nothing_new(folder: Path) -> None:
    mark = f"98.{os.getpid()}"
    agent = _agent(folder, f"sleep {mark}")
    failed: list[Exception] = []

    def ask() -> None:
        try:
            agent.switch_off(within=20)
        except (StepFailed, Unreachable) as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    end = time.monotonic() + 5
    while not _sleepers(mark):
        assert time.monotonic() < end
        time.sleep(0.02)
    agent.call_off()
    thread.join(5)
    assert failed
    assert _ended(mark)
    with pytest.raises(Unreachable, match="called off"):
        agent.power(within=5)
    agent.allow()
    with pytest.raises(Unreachable, match="no answer"):
        agent.power(within=0.3)


def test_a_password_file_that_is_missing_is_named(folder: Path) -> None:
    agent = _agent(folder, "exit 0", password_file=str(folder / "nowhere"))
    with pytest.raises(Unreachable, match="nowhere"):
        agent.power(within=5)


def test_an_agent_that_is_not_installed_is_said() -> None:
    with pytest.raises(Unreachable, match="fence_nothing"):
        FenceAgent("fence_nothing", {}).power(within=5)


def test_started_ahead_it_does_nothing_until_it_is_told_what(folder: Path) -> None:
    agent = _agent(folder, "echo $$ > $here/pid; echo 'Status: OFF'; exit 2")
    agent.warm()
    idle = [p.pid for p in agent._idle]
    assert len(idle) == 2
    time.sleep(0.2)
    assert not (folder / "pid").exists()
    assert agent.power(within=5) == "off"
    assert int((folder / "pid").read_text()) in idle
    agent.cool()
    assert agent.power(within=5) == "off"
    assert int((folder / "pid").read_text()) not in idle
    assert not any(Path(f"/proc/{pid}").exists() for pid in idle)


def test_one_started_ahead_that_ended_meanwhile_is_replaced(folder: Path) -> None:
    agent = _agent(folder, "echo 'Status: ON'; exit 0")
    agent.warm()
    for process in agent._idle:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert agent.power(within=5) == "on"
    agent.cool()
