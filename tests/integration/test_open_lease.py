"""What opens the lease where no agent runs, as the rendered script itself: real etcd, real packet filter."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl import layout
from hactl.adapters.command import run
from tests.support.agent_lab import NODE, VIP, AgentLab, agent_lab, sh
from tests.support.node_net import ip
from tests.support.servers import wait_until


@pytest.fixture
def lab() -> Iterator[AgentLab]:
    """A node that is closed, as after its boot, and holds the address."""
    assert shutil.which("etcdctl"), "etcdctl is missing: apt-get install etcd-client"
    with agent_lab() as found:
        run(["nft", "-f", str(found.folder / "lease.nft")], within=5)
        found.take_vip()
        (found.folder / "run" / "track").write_text("-254\n")
        yield found


def script(lab: AgentLab) -> Path:
    file = lab.folder / "open-lease"
    file.write_text(lab.rendered(str(layout.OPEN_LEASE)))
    return file


def test_it_opens_for_good_when_etcd_agrees(lab: AgentLab) -> None:
    ip("address", "change", f"{VIP}/24", "dev", "node0", "valid_lft", "60", "preferred_lft", "60")
    done = sh(script(lab))
    assert done.returncode == 0, done.stderr
    assert lab.get(lab.keys.mode(NODE)) == "open"
    assert lab.endless()
    assert lab.track() == "0"
    assert (lab.folder / "state" / "open").exists()
    assert "forever" in ip("-4", "address", "show", "to", f"{VIP}/32")
    lab.flow()
    assert sh(script(lab)).returncode == 0, "a second time is no problem"


def test_a_disk_that_takes_no_file_keeps_nobody_out(lab: AgentLab) -> None:
    (lab.folder / "state").rmdir()
    done = sh(script(lab))
    assert done.returncode == 0, done.stderr
    assert lab.endless()
    assert (lab.folder / "run" / "open").exists()


def test_a_fence_intent_keeps_it_closed(lab: AgentLab) -> None:
    lab.fence()
    done = sh(script(lab))
    assert done.returncode == 1
    assert "fence intent" in done.stderr
    closed(lab)


def test_without_etcd_it_stays_closed(lab: AgentLab) -> None:
    member = lab.etcd.members["db1"].process
    assert member is not None
    member.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    done = sh(script(lab))
    member.send_signal(signal.SIGCONT)
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert time.monotonic() - start < 10
    assert not lab.passes()
    assert not (lab.folder / "state" / "open").exists()


def test_it_leaves_a_living_agent_alone_and_goes_leased_again_without_an_outage(lab: AgentLab) -> None:
    lab.lead()
    assert sh(script(lab)).returncode == 0
    flow = lab.flow()
    lab.start_agent()
    wait_until("the agent is leased", lambda: not lab.endless() and lab.passes(), 10)
    wait_until("no file says open", lambda: not (lab.folder / "state" / "open").exists(), 1)
    wait_until("etcd knows", lambda: lab.get(lab.keys.mode(NODE)) == "leased", 3)
    assert sh(script(lab)).returncode == 0
    assert lab.get(lab.keys.mode(NODE)) == "leased"
    assert not lab.endless()
    time.sleep(4)
    assert flow.silence() < 0.3
    assert lab.track() == "0"


def test_after_a_crash_the_restart_is_waited_for_once(lab: AgentLab) -> None:
    (lab.folder / "run" / "ready").write_text("")
    assert sh(script(lab), SERVICE_RESULT="watchdog").returncode == 0
    closed(lab)
    assert sh(script(lab), SERVICE_RESULT="exit-code").returncode == 0
    assert lab.get(lab.keys.mode(NODE)) == "open"


def test_a_stopped_agent_is_followed_by_an_open_lease_without_an_outage(lab: AgentLab) -> None:
    lab.lead()
    lab.start_agent()
    lab.wait_stand(vip=True)
    flow = lab.flow()
    assert lab.agent is not None
    start = time.monotonic()
    lab.agent.stop()
    assert time.monotonic() - start < 2
    assert sh(script(lab), SERVICE_RESULT="success").returncode == 0
    time.sleep(4)
    wait_until("it is served still", flow.alive, 2)
    assert lab.endless()


def test_reloading_the_other_rules_does_not_touch_the_lease(lab: AgentLab) -> None:
    lab.lead()
    lab.start_agent()
    lab.wait_stand(vip=True)
    lab.signal_agent(signal.SIGSTOP)
    before = lab.elements()
    rules = lab.folder / "rules.nft"
    rules.write_text("table inet hactl\ndelete table inet hactl\ntable inet hactl {\n}\n")
    run(["nft", "-f", str(rules)], within=5)
    run(["nft", "-f", str(lab.folder / "lease.nft")], within=5)  # nor does its own file, loaded again
    assert VIP in before
    assert VIP in lab.elements()


def test_an_agent_makes_its_table_anew_when_somebody_emptied_the_rule_set(lab: AgentLab) -> None:
    lab.lead()
    lab.start_agent()
    lab.wait_stand(vip=True)
    run(["nft", "flush", "ruleset"], within=5)
    wait_until("the table is there again", lambda: table() and lab.passes() and not lab.endless(), 3)


def table() -> bool:
    return run(["nft", "list", "table", "inet", "hactl_lease"], within=5, check=False).code == 0


def closed(lab: AgentLab) -> None:
    assert lab.get(lab.keys.mode(NODE)) != "open"
    assert not lab.passes()
    assert lab.track() == "-254"
    assert not (lab.folder / "state" / "open").exists()
