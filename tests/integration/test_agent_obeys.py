"""One agent process and the controller's keys: refusals, orders, facts, sleep."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from hactl import layout
from hactl.lab import netns
from hactl.view.control import AgentFacts, Mode
from hactl.view.model import State, Unknown
from hactl.view.parse.agent_facts import parse_agent_facts
from tests.support.agent_lab import NODE, AgentLab, agent_lab
from tests.support.servers import wait_until

PEER = "192.0.2.2"  # the client's address: here it is the host that died


@pytest.fixture
def lab() -> Iterator[AgentLab]:
    with agent_lab() as found:
        found.lead("db2")
        found.start_agent()
        wait_until("the agent answers", lambda: found.get(found.keys.mode(NODE)) == "leased", 30)
        yield found


@contextlib.contextmanager
def listener(lab: AgentLab) -> Iterator[socket.socket]:
    with netns.entered(lab.client_ns):
        server = socket.create_server((PEER, layout.PORT_PATRONI))
    with server:
        yield server


def refused() -> bool:
    try:
        socket.create_connection((PEER, layout.PORT_PATRONI), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


def test_what_goes_to_a_dead_peer_fails_at_once_while_the_key_stands(lab: AgentLab) -> None:
    key = lab.keys.prime(NODE)
    with listener(lab), socket.create_connection((PEER, layout.PORT_PATRONI), timeout=5) as old:
        start = time.monotonic()
        lab.put(key, json.dumps({"epoch": 3, "reject": PEER}))
        wait_until("it answers", lambda: lab.get(lab.keys.primed(NODE)) is not None, 3)
        assert time.monotonic() - start < 1.0
        assert json.loads(lab.get(lab.keys.primed(NODE)) or "")["epoch"] == 3
        assert json.loads(lab.get(lab.keys.primed(NODE)) or "")["killed"] >= 1
        with pytest.raises(ConnectionError):
            old.recv(1)
        assert refused()
        assert "timeout 1m" in lab.elements("rejected")
        lab.delete(key)
        wait_until("it may be reached again", lambda: not refused(), 3)


def test_an_order_is_done_once_and_answered(lab: AgentLab) -> None:
    order = {"id": "o1", "verb": "restart", "unit": "keepalived.service"}
    lab.put(lab.keys.order(NODE), json.dumps(order))
    wait_until("it answers", lambda: lab.get(lab.keys.done(NODE)) is not None, 3)
    answer = json.loads(lab.get(lab.keys.done(NODE)) or "")
    assert (answer["id"], answer["ok"]) == ("o1", True)
    time.sleep(1.2)
    assert lab.acts() == ["restart keepalived.service"]
    assert lab.agent is not None
    lab.agent.stop()
    lab.start_agent()
    wait_until("it is back", lambda: len(lab.events("leased")) == 2, 10)
    time.sleep(1.0)
    assert lab.acts() == ["restart keepalived.service"]


def facts(lab: AgentLab) -> AgentFacts | None:
    text = lab.get(lab.keys.facts(NODE))
    return None if text is None else parse_agent_facts(text)


def told(lab: AgentLab, what: str, true: Callable[[AgentFacts], object], within: float = 10) -> None:
    """Each look is published when it was taken: facts grow over the agent's first seconds, in no order."""
    wait_until(
        f"its facts tell {what}", lambda: (found := facts(lab)) is not None and bool(true(found)), within
    )


def looked_for_forks(found: AgentFacts) -> bool:
    """Whether a server of this machine's own has that socket is not the test's business."""
    return not isinstance(found.forks, Unknown) or ".s.PGSQL.5432" in found.forks.why


def test_facts_come_and_go_with_the_agent(lab: AgentLab) -> None:
    told(lab, "whose they are", lambda f: f.node == NODE)
    told(lab, "the mode", lambda f: f.mode is Mode.LEASED)
    told(lab, "that the canary sang", lambda f: f.canary.ok)
    told(lab, "of its peer", lambda f: "db2" in f.peers)
    told(lab, "that Patroni answers", lambda f: f.patroni.state is State.OK)
    told(lab, "that keepalived runs", lambda f: f.keepalived.state is State.OK)
    (lab.folder / "no-keepalived").touch()
    told(lab, "that keepalived does not run", lambda f: f.keepalived.failed)
    told(lab, "that it looked for new connections", looked_for_forks)
    told(lab, "of its disks", lambda f: [d.path for d in f.disks][:1] == ["/"])
    told(lab, "no lease", lambda f: f.lease_left is None)
    lab.lead()
    told(lab, "the lease", lambda f: (f.lease_left or 0) > 1)
    lab.signal_agent(signal.SIGKILL)
    wait_until("a dead agent's facts go", lambda: facts(lab) is None, 14)


def test_an_agent_that_slept_shuts_first_and_asks_then(lab: AgentLab) -> None:
    lab.lead()
    lab.wait_stand(vip=True)
    lab.signal_agent(signal.SIGSTOP)
    time.sleep(1.0)
    lab.lead("db2")
    time.sleep(3.5)
    assert not lab.passes()
    assert lab.track() == "0", "nobody could write it"
    lab.signal_agent(signal.SIGCONT)
    wait_until("keepalived is told", lambda: lab.track() == "-254", 1)
    assert not lab.passes()
    wait_until("it says so", lambda: bool(lab.events("thawed")), 1)  # when all is done
    lab.lead()
    lab.wait_stand(vip=True)


def test_a_fenced_node_stays_fenced_over_a_restart_of_its_agent(lab: AgentLab) -> None:
    lab.postgres_runs(runs=True)
    lab.fence(4)
    wait_until("it reports", lambda: lab.get(lab.keys.fenced(NODE)) is not None, 5)
    assert lab.agent is not None
    lab.agent.stop()
    lab.delete(lab.keys.fence(NODE))
    lab.start_agent()
    wait_until("what was stopped is started", lambda: "unfence" in lab.acts(), 5)


def test_a_fence_waits_for_the_last_process_of_postgresql(lab: AgentLab) -> None:
    """As with one that waits for a dead disk: it cannot even be killed, so it is not gone."""
    lab.postgres_runs(runs=True)
    (lab.folder / "undying").write_text("")
    lab.fence(5)
    wait_until("it is tried again", lambda: lab.acts().count("fence") >= 2, 12)
    assert lab.get(lab.keys.fenced(NODE)) is None
    (lab.folder / "undying").unlink()
    lab.postgres_runs(runs=False)
    wait_until("it reports", lambda: lab.get(lab.keys.fenced(NODE)) is not None, 8)


def test_it_ends_at_once_when_told_to_and_leaves_what_holds(lab: AgentLab) -> None:
    lab.lead()
    lab.wait_stand(vip=True)
    assert lab.agent is not None
    start = time.monotonic()
    lab.agent.stop()
    assert time.monotonic() - start < 2.5  # before its lease would end
    assert lab.track() == "0"
    assert lab.passes()
