"""The agent's own certificate ends or is broken while all else is well: the spare one takes its place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator

import pytest

from hactl import layout
from hactl.adapters.command import run
from tests.support.agent_lab import NODE, AgentLab, agent_lab, sh
from tests.support.servers import wait_until
from tests.support.tls import TestCa

Spoil = Callable[[AgentLab], None]


def expired(lab: AgentLab) -> None:
    issued = lab.net.ca.issue("ended", [], days=-0.5)
    shutil.copy(issued.key, lab.pki() / "hactl.key")
    shutil.copy(issued.cert, lab.pki() / "hactl.crt")


def foreign(lab: AgentLab) -> None:
    folder = lab.folder / "foreign"
    folder.mkdir()
    issued = TestCa(folder, "another").issue("foreign")
    shutil.copy(issued.key, lab.pki() / "hactl.key")
    shutil.copy(issued.cert, lab.pki() / "hactl.crt")


def gone(lab: AgentLab) -> None:
    (lab.pki() / "hactl.key").unlink()
    (lab.pki() / "hactl.crt").unlink()


SPOILED = pytest.mark.parametrize("spoil", [expired, foreign, gone], ids=lambda f: f.__name__)


@pytest.fixture
def lab() -> Iterator[AgentLab]:
    with agent_lab() as found:
        found.pki()
        found.lead()
        yield found


@SPOILED
def test_an_agent_that_starts_with_it_holds_the_lease_by_its_spare_one(lab: AgentLab, spoil: Spoil) -> None:
    spoil(lab)
    lab.start_agent()
    lab.wait_stand(vip=True)
    assert not lab.endless()
    assert lab.get(lab.keys.mode(NODE)) == "leased"
    lab.take_vip()
    flow = lab.flow()
    time.sleep(7)
    gaps = [b - a for a, b in zip(flow.echoes, flow.echoes[1:], strict=False)]
    assert max(gaps) < 0.5
    lab.fence()
    wait_until("an intent ends it", lambda: not lab.passes(), 1.5)


def test_when_every_connection_ends_at_that_moment_nobody_notices(lab: AgentLab) -> None:
    lab.start_agent()
    lab.wait_stand(vip=True)
    lab.take_vip()
    flow = lab.flow()
    expired(lab)
    member = lab.etcd.members["db1"]
    member.kill()
    member.start()
    time.sleep(8)
    gaps = [b - a for a, b in zip(flow.echoes, flow.echoes[1:], strict=False)]
    assert max(gaps) < 3.0
    assert flow.alive()
    assert lab.track() == "0"


def test_the_facts_say_so(lab: AgentLab) -> None:
    foreign(lab)
    lab.start_agent()
    lab.wait_stand(vip=True)
    wait_until("it tells", lambda: '"spare":"' in (lab.get(lab.keys.facts(NODE)) or ""), 10)


@SPOILED
def test_without_an_agent_the_door_opens_by_the_spare_one(lab: AgentLab, spoil: Spoil) -> None:
    assert shutil.which("etcdctl"), "etcdctl is missing: apt-get install etcd-client"
    run(["nft", "-f", str(lab.folder / "lease.nft")], within=5)
    spoil(lab)
    file = lab.folder / "open-lease"
    file.write_text(lab.rendered(str(layout.OPEN_LEASE)))
    done = sh(file)
    assert done.returncode == 0, done.stderr
    assert lab.get(lab.keys.mode(NODE)) == "open"
    assert lab.endless()
