"""One suite for the fake etcd and a real one with three members and mutual TLS on loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pytest

from hactl import wiring
from hactl.adapters.etcd import EtcdGateway
from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.ports import Etcd, Untrusted
from hactl.view.keys import Keys
from hactl.view.model import EtcdStatus
from tests.fakes.ports import FakeEtcd, FakeEtcdWorld
from tests.support.servers import VOTERS, etcd_cluster, loopback, put_key, wait_until
from tests.support.views import look


@dataclass
class World:
    ports: Mapping[str, Etcd]
    kill: Callable[[str], None]


def fake() -> Iterator[World]:
    shared = FakeEtcdWorld(VOTERS, keys=look())
    yield World({n: FakeEtcd(n, shared) for n in VOTERS}, shared.alive.discard)


def real() -> Iterator[World]:
    with loopback() as net, etcd_cluster(net) as cluster:
        site = net.site()
        http = HttpsClient(site.ca, site.cert, site.key)
        put_key(http, cluster.endpoints["db1"], "/service/demo/leader", "db1")
        put_key(http, cluster.endpoints["db1"], "/service/demo/sync", '{"leader":"db1","sync_standby":"db2"}')
        put_key(http, cluster.endpoints["db1"], "/service/demo2/leader", "stranger")
        put_key(http, cluster.endpoints["db1"], "/hactl/demo/controller", '{"node":"wit1"}')
        put_key(http, cluster.endpoints["db1"], "/hactl/demo2/controller", '{"node":"stranger"}')
        yield World(wiring.status_ports(net.spec(), site).etcd, lambda name: cluster.members[name].kill())


@pytest.fixture(params=[fake, real])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from request.param()


@pytest.fixture(scope="module", params=[fake, real])
def calm(request: pytest.FixtureRequest) -> Iterator[World]:
    """Shared by the tests that break nothing."""
    yield from request.param()


def leader_name(world: World, asked: str) -> str:
    status, members = world.ports[asked].status(), world.ports[asked].members()
    return next((m.name for m in members if m.member_id == status.leader_id), "")


def test_every_member_answers_and_all_name_the_same_leader(calm: World) -> None:
    assert set(calm.ports) == set(VOTERS)
    assert {m.name for m in calm.ports["db1"].members()} == set(VOTERS)
    leaders = {leader_name(calm, n) for n in VOTERS}
    assert len(leaders) == 1
    assert leaders < set(VOTERS)
    assert len({p.status().member_id for p in calm.ports.values()}) == 3


def test_patronis_keys_are_read_from_every_member(calm: World) -> None:
    for port in calm.ports.values():
        keys = port.keys()
        assert keys.patroni.leader is not None
        assert (keys.patroni.leader.node, keys.patroni.sync_standbys) == ("db1", ("db2",))
        assert keys.active == "wit1"
        assert keys.revision > 0


def _told(gateway: EtcdGateway, within: float = 60) -> Untrusted:
    """Each try must fail, one of them with the reason.

    With TLS 1.3 a server judges our certificate after the handshake; its alert may be lost when it hangs up,
    on a busy machine most of the time.
    """
    tries, end = 0, time.monotonic() + within
    while time.monotonic() < end:
        tries += 1
        with pytest.raises(Unreachable) as failed:
            gateway.status()
        if isinstance(failed.value, Untrusted):
            return failed.value
    raise AssertionError(f"{tries} times no word about the certificate")


def test_a_client_of_another_ca_is_refused_and_told_so() -> None:
    with loopback() as net, loopback() as stranger, etcd_cluster(net, ("db1",)):
        own, other = net.site(), stranger.site()
        base = f"https://{net.address('db1')}:2379"
        for http, why in (
            (HttpsClient(own.ca, other.cert, other.key), "refuses this machine's certificate"),
            (HttpsClient(other.ca, own.cert, own.key), "its certificate is not trusted"),
        ):
            assert why in str(_told(EtcdGateway(http, base, Keys("demo"))))


def test_members_fall_one_by_one(world: World) -> None:
    """Two of three read on; the last one answers for itself, knows no leader and cannot read."""
    lost = leader_name(world, "db1")
    left = [n for n in VOTERS if n != lost]
    world.kill(lost)
    with pytest.raises(Unreachable):
        world.ports[lost].status()
    wait_until("a new leader", lambda: leader_name(world, left[0]) in left, 15)
    leader = world.ports[left[0]].keys().patroni.leader
    assert leader is not None
    assert leader.node == "db1"
    world.kill(left[1])
    wait_until("no leader", lambda: world.ports[left[0]].status().leader_id == "", 15)
    status = world.ports[left[0]].status()
    assert isinstance(status, EtcdStatus)
    assert any("no leader" in e for e in status.errors)
    with pytest.raises(Unreachable):
        world.ports[left[0]].keys()
