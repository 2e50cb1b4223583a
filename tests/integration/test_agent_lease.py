"""The fencing lease of one agent process: real packet filter, real etcd, packets from another namespace."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.support.agent_lab import NODE, VIP, AgentLab, agent_lab
from tests.support.node_net import ip
from tests.support.servers import wait_until

LENGTH = 3.0
# Rounds are 0.5 s apart: the last renewal may be that old; the rest is a busy machine's share.
SLACK = 0.3
QUIET = 1.0


@pytest.fixture
def lab() -> Iterator[AgentLab]:
    with agent_lab() as found:
        yield found


@pytest.fixture
def holder(lab: AgentLab) -> AgentLab:
    """The node leads, holds the address, and serves."""
    lab.lead()
    lab.start_agent()
    lab.wait_stand(vip=True)
    lab.take_vip()
    return lab


def dies_within(lab: AgentLab, fault: float, limit: float) -> float:
    flow = lab.flows[-1]
    # For good: a busy machine alone makes gaps of some tenths.
    wait_until("the flow is dead", lambda: time.monotonic() - flow.last() > QUIET, limit + QUIET + 3)
    lasted = flow.last() - fault
    assert lasted <= limit, f"served {lasted:.2f} s after the fault"
    return lasted


def test_a_leader_serves_and_says_leased_and_a_renewal_changes_alive(holder: AgentLab) -> None:
    flow = holder.flow()
    assert holder.get(holder.keys.mode(NODE)) == "leased"
    before = holder.get(holder.keys.alive(NODE))
    time.sleep(4.0)
    assert holder.get(holder.keys.alive(NODE)) != before
    assert flow.silence() < 0.3
    assert not holder.endless()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=["frozen", "killed"])
def test_the_kernel_ends_what_an_agent_leaves_behind(holder: AgentLab, number: signal.Signals) -> None:
    holder.flow()
    fault = time.monotonic()
    holder.signal_agent(number)
    lasted = dies_within(holder, fault, LENGTH + SLACK)
    assert lasted > LENGTH - 1.0


def test_an_agent_without_etcd_serves_no_longer_than_its_lease(holder: AgentLab) -> None:
    holder.flow()
    fault = time.monotonic()
    member = holder.etcd.members["db1"].process
    assert member is not None
    member.send_signal(signal.SIGSTOP)
    dies_within(holder, fault, LENGTH + SLACK)
    wait_until("keepalived is told", lambda: holder.track() == "-254", 2)
    member.send_signal(signal.SIGCONT)
    holder.wait_stand(vip=True, within=5)


def test_a_fence_intent_ends_it_within_a_round(holder: AgentLab) -> None:
    holder.postgres_runs(runs=True)
    flow = holder.flow()
    fault = time.monotonic()
    holder.fence(7)
    wait_until("the element is gone", lambda: not holder.passes(), 1)
    assert time.monotonic() - fault < 0.7
    # The packet filter first, then the word to keepalived.
    wait_until("keepalived is told", lambda: holder.track() == "-254", 0.5)
    wait_until("the agent reports", lambda: holder.get(holder.keys.fenced(NODE)) is not None, 3)
    assert '"epoch":7' in (holder.get(holder.keys.fenced(NODE)) or "")
    assert '"postgres":"stopped"' in (holder.get(holder.keys.fenced(NODE)) or "")
    assert holder.acts()[0] == "fence"
    assert flow.last() - fault < 0.7
    holder.delete(holder.keys.fence(NODE))
    holder.wait_stand(vip=True)
    wait_until("what was stopped is started", lambda: "unfence" in holder.acts(), 3)


def test_a_lost_leadership_ends_it_within_a_round(holder: AgentLab) -> None:
    holder.flow()
    fault = time.monotonic()
    holder.lead("db2")
    dies_within(holder, fault, 0.7)
    wait_until("keepalived is told", lambda: holder.track() == "-254", 0.5)


def test_the_address_goes_with_the_lease_when_nobody_removes_it(holder: AgentLab) -> None:
    """keepalived is not there in this test: as if it were frozen."""
    wait_until("the kernel has a lifetime for it", lambda: "forever" not in valid(), 3)
    fault = time.monotonic()
    holder.signal_agent(signal.SIGKILL)
    wait_until("the kernel takes the address away", lambda: not holder.has_vip(), 8)
    assert time.monotonic() - fault < LENGTH + 2.5


def valid() -> str:
    return ip("-4", "address", "show", "to", f"{VIP}/32")
