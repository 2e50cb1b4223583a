"""One operation at a time, against the etcd in memory and a real one: taken, kept alive, given back, lost."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from hactl.act import maintenance, operation
from hactl.act.maintenance import Operator
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.errors import LockHeld, Refused, StepFailed, Unreachable
from hactl.ports import EtcdKv
from hactl.view.archive import Drain, DrainBy
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.parse.by_hand import parse_holder
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.servers import EtcdCluster, Loopback, etcd_cluster, loopback, wait_until

KEYS = Keys("demo")


@dataclass
class World:
    kv: EtcdKv
    wait: Callable[[float], None]

    def operator(self, who: str = "operator anna") -> Operator:
        return Operator(self.kv, KEYS, SystemClock(), who, "desk", "192.0.2.50")

    def value(self) -> str | None:
        found = self.kv.range(KEYS.operation, within=2).first
        return found.value if found else None


def fake() -> Iterator[World]:
    clock = FakeClock()
    yield World(FakeEtcd(clock).client(), clock.forward)


def real() -> Iterator[World]:
    with loopback() as net, etcd_cluster(net) as cluster:
        client = _client(net, cluster)
        yield World(client, time.sleep)
        client.close()


def _client(net: Loopback, cluster: EtcdCluster) -> EtcdKvClient:
    site = net.site()
    return EtcdKvClient(cluster.endpoints, HttpsClient(site.ca, site.cert, site.key))


@pytest.fixture(scope="module", params=[fake, real])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from request.param()


def test_the_second_is_told_who_has_it_and_since_when(world: World) -> None:
    with operation.held(world.operator(), "switchover from db1 to db2", "new RAM") as who:
        holder = parse_holder(world.value() or "")
        assert (holder.who, holder.what, holder.reason, holder.machine, holder.pid) == (
            "operator anna from 192.0.2.50", "switchover from db1 to db2", "new RAM", "desk", os.getpid(),
        )  # fmt: skip
        with pytest.raises(LockHeld) as caught, operation.held(world.operator("operator ben"), "deploy"):
            pass
        said = caught.value.message
        assert "switchover from db1 to db2, by operator anna from 192.0.2.50 on desk (pid" in said
        assert "s ago), reason: new RAM" in said
        who.still()
    assert world.value() is None
    with operation.held(world.operator("operator ben"), "deploy"):
        pass


@pytest.mark.parametrize("ends", [KeyboardInterrupt, Refused("no"), SystemExit(3)])
def test_however_the_block_ends_the_lock_is_free_at_once(world: World, ends: BaseException) -> None:
    with pytest.raises(BaseException), operation.held(world.operator(), "deploy"):  # noqa: B017, PT011
        raise ends
    assert world.value() is None


def test_of_many_at_once_one_gets_it(world: World) -> None:
    got, refused, done = list[int](), list[int](), threading.Event()

    def one(number: int) -> None:
        try:
            with operation.held(world.operator(), f"work {number}"):
                got.append(number)
                done.wait(10)
        except LockHeld:
            refused.append(number)

    threads = [threading.Thread(target=one, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    wait_until("all others are refused", lambda: len(refused) == 7, 10)
    done.set()
    for thread in threads:
        thread.join()
    assert len(got) == 1
    assert world.value() is None


def test_once_it_is_lost_nothing_is_done_any_more(world: World) -> None:
    drain = Drain("arc1", DrainBy.OPERATOR, "new disk")
    with operation.held(world.operator(), "archive drain arc1") as who:
        world.kv.txn((), (Put(KEYS.operation, '{"who":"ben","what":"deploy"}'),), within=2)
        for act in (lambda: maintenance.drain(who, drain, ()), who.still):
            with pytest.raises(StepFailed, match="lost"):
                act()
    assert world.kv.range(KEYS.archive_drain("arc1"), within=2).first is None
    world.kv.txn((), (Put(KEYS.operation, "what is this"),), within=2)
    with pytest.raises(LockHeld, match="cannot be read"), operation.held(world.operator(), "deploy"):
        pass
    world.kv.txn((), (maintenance.Delete(KEYS.operation),), within=2)


def ended_by_etcd(world: World) -> None:
    """As a leader does whose disk stalled, once it goes on."""
    found = world.kv.range(KEYS.operation, within=2).first
    assert found is not None
    world.kv.revoke(found.lease, within=2)


def test_a_lease_that_etcd_ends_too_early_costs_nobody_the_lock(world: World) -> None:
    with operation.held(world.operator(), "switchover") as who:
        for _ in range(2):
            ended_by_etcd(world)
            wait_until("it has it again", lambda: world.value() is not None, 2 * operation.EVERY)
        who.still()
    assert world.value() is None


def test_not_if_somebody_else_had_it_meanwhile(world: World) -> None:
    with operation.held(world.operator(), "switchover") as who:
        ended_by_etcd(world)
        with operation.held(world.operator("operator ben"), "deploy"):
            pass
        time.sleep(operation.EVERY + 0.5)
        with pytest.raises(StepFailed, match="lost"):
            who.still()


def test_not_if_it_stood_still_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = operation.boottime
    with operation.held(world.operator(), "switchover") as who:
        monkeypatch.setattr(operation, "boottime", lambda: real() + operation.TTL)
        ended_by_etcd(world)
        time.sleep(operation.EVERY + 0.5)
        with pytest.raises(StepFailed, match="lost"):
            who.still()


def test_a_lost_answer_is_no_stranger() -> None:
    etcd = FakeEtcd(FakeClock())
    world = World(etcd.client(), lambda _: None)

    class Loses(type(etcd.client())):  # type: ignore[misc]
        def grant(self, ttl: int, *, within: float) -> int:
            found: int = super().grant(ttl, within=within)
            etcd.lose_answer()
            return found

    asks = dataclasses.replace(world.operator(), kv=Loses(etcd))
    with operation.held(asks, "deploy"):
        assert world.value() is not None
    assert world.value() is None


def test_without_a_majority_it_is_not_taken() -> None:
    etcd = FakeEtcd(FakeClock())
    etcd.kill("db1")
    etcd.kill("db2")
    with pytest.raises(Unreachable), operation.held(World(etcd.client(), print).operator(), "deploy"):
        pass


@pytest.fixture
def net() -> Iterator[Loopback]:
    with loopback() as found:
        yield found


@pytest.fixture
def cluster(net: Loopback) -> Iterator[EtcdCluster]:
    with etcd_cluster(net) as found:
        yield found


# As a command does it, in a process of its own that a signal can hit.
HOLDS = """
import sys, time
from pathlib import Path
from hactl.act.maintenance import Operator
from hactl.act import operation
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.cli.operator import signals
from hactl.view.keys import Keys
ca, cert, key, *urls = sys.argv[1:]
kv = EtcdKvClient({str(n): u for n, u in enumerate(urls)}, HttpsClient(Path(ca), Path(cert), Path(key)))
who = Operator(kv, Keys("demo"), SystemClock(), "operator anna", "desk")
with signals(), operation.held(who, "switchover"):
    print("held", flush=True)
    time.sleep(120)
"""


@pytest.fixture
def holder(net: Loopback, cluster: EtcdCluster) -> Iterator[subprocess.Popen[str]]:
    site = net.site()
    argv = [sys.executable, "-c", HOLDS, str(site.ca), str(site.cert), str(site.key)]
    with subprocess.Popen([*argv, *cluster.endpoints.values()], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def near(net: Loopback, cluster: EtcdCluster) -> Iterator[World]:
    client = _client(net, cluster)
    yield World(client, time.sleep)
    client.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_it_back_at_once(
    near: World, holder: subprocess.Popen[str], number: signal.Signals
) -> None:
    holder.send_signal(number)
    wait_until("the lock is free", lambda: near.value() is None, operation.TTL / 2)


def test_it_outlives_its_lease_s_time_and_a_killed_one_s_ends_by_itself(
    near: World, cluster: EtcdCluster, holder: subprocess.Popen[str]
) -> None:
    cluster.members["db1"].kill()  # one of three: whoever led, the lock stays
    time.sleep(operation.TTL + 3)
    assert near.value() is not None
    holder.kill()
    wait_until("the lock ends by itself", lambda: near.value() is None, operation.TTL + 5)
