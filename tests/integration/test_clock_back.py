"""A wall clock that is turned back: Patroni sleeps for as long, and is woken before its lease has run out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.view.keys import Keys
from tests.support import postgres_programs
from tests.support.clock import Clock
from tests.support.servers import PatroniPair, etcd_cluster, loopback, patroni_pair, wait_until

PASSWORD = {"username": "patroni", "password": "loopback"}  # what a node's own root alone has
TTL = 20  # s, tests/support/servers.py; a round each second renews it


@dataclass
class World:
    pair: PatroniPair
    kv: EtcdKvClient
    keys: Keys
    clock: Clock
    folder: Path

    def leader(self) -> str:
        found = self.kv.range(self.keys.leader, within=2).first
        assert found is not None, "nobody leads"
        return found.value

    def left(self) -> float:
        """Seconds that the leader's lease would live without Patroni."""
        found = self.kv.range(self.keys.leader, within=2).first
        assert found is not None, "nobody leads"
        return self.kv.time_left(found.lease, within=2).left

    def wake(self, node: str) -> str:
        config = self.pair.net.folder / f"patroni-{node}.yml"
        programs = postgres_programs.install(self.folder / node, self.folder, config=config)
        done = programs.run("wake", [], within=20)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def world() -> Iterator[World]:
    with loopback() as net, etcd_cluster(net) as cluster:
        clock = Clock(net.folder / "clock")
        with patroni_pair(net, environment=clock.environment, restapi={"authentication": PASSWORD}) as pair:
            kv = EtcdKvClient(cluster.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
            (net.folder / "programs").mkdir(mode=0o755)
            yield World(pair, kv, Keys(net.spec().cluster), clock, net.folder / "programs")
            kv.close()


def test_patroni_sleeps_until_it_is_woken_and_then_leads_on(world: World) -> None:
    primary = world.pair.wait_streaming()
    world.clock.turn(-300)
    wait_until("nobody renews it", lambda: world.left() < TTL - 8, 15)
    assert world.wake(primary) == "Patroni begins its next round"
    wait_until("it is renewed", lambda: world.left() >= TTL - 2, 3)
    for _ in range(5):
        time.sleep(1.0)
        assert world.left() >= TTL - 4, "and goes on being so"
    assert world.leader() == primary


def test_forward_needs_nobody(world: World) -> None:
    primary = world.pair.wait_streaming()
    world.clock.turn(300)
    for _ in range(6):
        time.sleep(1.0)
        assert world.left() >= TTL - 5
    assert world.leader() == primary
