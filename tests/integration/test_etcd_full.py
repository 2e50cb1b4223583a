"""etcd has used up its quota (the alarm NOSPACE): a healthy primary serves on, and safely."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pytest

from hactl import layout
from hactl.view.kv import Delete, Put, absent
from tests.support.agent_lab import NODE, AgentLab, agent_lab, sh
from tests.support.fill import QUOTA, fill, refuses
from tests.support.servers import wait_until

LENGTH = 3.0


@pytest.fixture
def full() -> Iterator[AgentLab]:
    """The node leads and serves; then etcd is full."""
    with agent_lab(etcd=QUOTA) as lab:
        lab.lead()
        lab.start_agent()
        lab.wait_stand(vip=True)
        lab.take_vip()
        wait_until("etcd knows the mode", lambda: lab.get(lab.keys.mode(NODE)) == "leased", 5)
        fill(lab.kv)
        assert refuses(lab.kv)
        yield lab


def test_the_primary_serves_on_and_nobody_may_take_its_lease_s_end_for_a_proof(full: AgentLab) -> None:
    flow = full.flow()
    alive = full.get(full.keys.alive(NODE))
    time.sleep(3 * LENGTH)
    gaps = [b - a for a, b in zip(flow.echoes, flow.echoes[1:], strict=False)]
    assert max(gaps) < 1.0
    assert flow.alive()
    assert full.track() == "0"
    assert not full.endless(), "it is the kernel that ends it, as ever"
    assert full.get(full.keys.alive(NODE)) == alive
    assert full.get(full.keys.mode(NODE)) is None
    assert len(full.events("etcd is full: the lease is renewed without a trace")) == 1


def test_the_kernel_still_ends_it_when_the_agent_dies(full: AgentLab) -> None:
    full.flow()
    assert full.agent is not None
    start = time.monotonic()
    full.agent.kill()
    wait_until("the lease is over", lambda: not full.passes(), LENGTH + 1)
    assert time.monotonic() - start <= LENGTH + 1


def test_another_leader_ends_it_at_once(full: AgentLab) -> None:
    """Nobody else can take the key of a full etcd; but Patroni can give it up."""
    full.flow()
    full.kv.txn((), (Delete(full.keys.leader),), within=5)
    wait_until("the element is gone", lambda: not full.passes(), 1)
    wait_until("keepalived is told", lambda: full.track() == "-254", 1)


def test_an_intent_is_obeyed_as_soon_as_there_is_space_for_it(full: AgentLab) -> None:
    full.postgres_runs(runs=True)
    full.flow()
    mend(full)
    intent = Put(full.keys.fence(NODE), '{"epoch":7}')
    full.kv.txn((absent(full.keys.fence(NODE)),), (intent,), within=5)
    start = time.monotonic()
    wait_until("the element is gone", lambda: not full.passes(), 1)
    assert time.monotonic() - start < 1
    wait_until("the agent reports", lambda: full.get(full.keys.fenced(NODE)) is not None, 10)


def test_when_there_is_space_again_all_see_the_lease(full: AgentLab) -> None:
    alive = full.get(full.keys.alive(NODE))
    time.sleep(2)
    mend(full)
    wait_until("its mode is known", lambda: full.get(full.keys.mode(NODE)) == "leased", 8)
    wait_until("it renews for all to see", lambda: full.get(full.keys.alive(NODE)) != alive, 3)
    assert full.track() == "0"


def test_without_an_agent_the_door_opens_all_the_same(full: AgentLab) -> None:
    assert shutil.which("etcdctl"), "etcdctl is missing: apt-get install etcd-client"
    assert full.agent is not None
    full.agent.kill()
    file = full.folder / "open-lease"
    file.write_text(full.rendered(str(layout.OPEN_LEASE)))
    (full.folder / "run" / "ready").unlink(missing_ok=True)
    done = sh(file)
    assert done.returncode == 0, done.stderr
    assert full.endless()
    assert full.get(full.keys.mode(NODE)) is None, "whose mode is not known cannot be proved silent"


def mend(lab: AgentLab) -> None:
    """As an operator would: remove, compact, defragment, take the alarm back."""
    lab.kv.txn((), (Delete("/fill/", prefix=True),), within=5)
    revision = lab.kv.range("/fill/", within=5).revision
    lab.kv.compact(revision, within=5)
    lab.kv.defragment(NODE, within=10)
    for alarm in lab.kv.alarms(within=5):
        lab.kv.disarm(alarm, within=5)
    assert not refuses(lab.kv)
