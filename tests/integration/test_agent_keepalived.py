"""The agent's word and a real keepalived, with its rendered configuration and check."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl import layout
from tests.support.agent_lab import AgentLab, agent_lab
from tests.support.servers import Daemon, program, wait_until


@pytest.fixture
def lab() -> Iterator[AgentLab]:
    with agent_lab() as found:
        found.lead("db2")
        found.start_agent()
        wait_until("the agent is there", lambda: found.track() == "-254", 30)
        with keepalived(found):
            yield found


@contextlib.contextmanager
def keepalived(lab: AgentLab) -> Iterator[Daemon]:
    check = lab.folder / "check-primary"
    check.write_text(lab.rendered(str(layout.LIB / "check-primary")))
    check.chmod(0o755)
    lab.folder.chmod(0o755)
    config = lab.rendered(str(layout.KEEPALIVED_CONFIG))
    config = config.replace(str(layout.LIB / "check-primary"), str(check)).replace("hactl\n", "root\n")
    config = config.replace(lab.net.address("db1"), "192.0.2.11").replace(
        lab.net.address("db2"), "192.0.2.12"
    )
    file = lab.folder / "keepalived.conf"
    file.write_text(config)
    pids = (f"--pid={lab.folder}/ka.pid", f"--vrrp_pid={lab.folder}/vrrp.pid")
    argv = [program("keepalived", "keepalived"), "--dont-fork", "--log-console", "--vrrp", *pids]
    argv.append(f"--use-file={file}")
    daemon = Daemon("keepalived", argv, lab.folder / "keepalived.log")
    daemon.start()
    try:
        wait_until("keepalived runs", lambda: "Startup complete" in log(lab), 10)
        wait_until("its check has run", lambda: "VRRP_Script(check_primary)" in log(lab), 10)
        yield daemon
    finally:
        daemon.stop()


def log(lab: AgentLab) -> str:
    return (lab.folder / "keepalived.log").read_text()


def vrrp(lab: AgentLab) -> int:
    return int(Path(lab.folder / "vrrp.pid").read_text())


def test_the_address_follows_the_leader_key_at_once(lab: AgentLab) -> None:
    assert not lab.has_vip()
    times = []
    for _ in range(3):
        start = time.monotonic()
        lab.lead()
        wait_for(lab, vip=True)
        times.append(time.monotonic() - start)
        lab.lead("db2")
        wait_for(lab, vip=False)
    assert sorted(times)[1] < 0.6, times


def wait_for(lab: AgentLab, *, vip: bool) -> None:
    end = time.monotonic() + 5
    while lab.has_vip() is not vip:
        assert time.monotonic() < end, f"VIP here: {not vip}; {log(lab)[-600:]}"


def test_a_dead_agent_s_word_is_not_believed_for_longer_than_its_lease(lab: AgentLab) -> None:
    lab.lead()
    wait_for(lab, vip=True)
    lab.signal_agent(signal.SIGKILL)
    time.sleep(1.5)
    assert lab.has_vip()
    wait_until("keepalived gives the address up, and does not take it back", lambda: not lab.has_vip(), 5)
    assert lab.track() == "0"
    time.sleep(2)
    assert not lab.has_vip()


def test_a_frozen_keepalived_loses_the_address_all_the_same(lab: AgentLab) -> None:
    lab.lead()
    wait_for(lab, vip=True)
    os.kill(vrrp(lab), signal.SIGSTOP)
    try:
        start = time.monotonic()
        lab.lead("db2")
        wait_for(lab, vip=False)
        assert time.monotonic() - start < 2.0
        assert not lab.passes()
    finally:
        os.kill(vrrp(lab), signal.SIGCONT)
    time.sleep(1.0)
    assert not lab.has_vip(), "nor does it put it back when it goes on"


def test_renewing_the_address_does_not_disturb_keepalived(lab: AgentLab) -> None:
    lab.lead()
    wait_for(lab, vip=True)
    before = log(lab).count("Entering")
    time.sleep(5)
    assert lab.has_vip()
    assert log(lab).count("Entering") == before


def test_a_reloaded_keepalived_keeps_its_place(lab: AgentLab) -> None:
    lab.lead()
    wait_for(lab, vip=True)
    os.kill(int((lab.folder / "ka.pid").read_text()), signal.SIGHUP)
    gone = 0
    end = time.monotonic() + 3
    while time.monotonic() < end:
        gone += not lab.has_vip()
    assert gone == 0
