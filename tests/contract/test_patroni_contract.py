"""One suite for the fake Patroni and a real pair with PostgreSQL on loopback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest

from hactl import wiring
from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.ports import Patroni, PortClosed, Ports, Untrusted
from hactl.view.model import DbRole
from tests.fakes.ports import FakePatroni, healthy_ports
from tests.support.servers import Loopback, PatroniPair, etcd_cluster, loopback, patroni_pair


@dataclass
class World:
    ports: Mapping[str, Patroni]
    primary: str
    standby: str


@dataclass
class Pair:
    net: Loopback
    patroni: PatroniPair
    ports: Ports


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with loopback() as net, etcd_cluster(net), patroni_pair(net) as patroni:
        patroni.wait_streaming()
        yield Pair(net, patroni, wiring.status_ports(net.spec(), net.site()))


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "fake":
        return World(healthy_ports().patroni, "db1", "db2")
    pair: Pair = request.getfixturevalue("pair")
    primary = pair.patroni.wait_streaming()
    return World(pair.ports.patroni, primary, "db2" if primary == "db1" else "db1")


def test_each_member_says_what_it_is(world: World) -> None:
    first, second = world.ports[world.primary].itself(), world.ports[world.standby].itself()
    assert (first.name, first.role, first.state) == (world.primary, DbRole.PRIMARY, "running")
    assert (second.name, second.role, second.replication_state) == (
        world.standby,
        DbRole.STANDBY,
        "streaming",
    )
    assert first.streams_to == (world.standby,)
    assert second.sync
    assert first.timeline == second.timeline
    assert first.lsn is not None
    assert second.lsn is not None


def test_every_member_knows_all_members(world: World) -> None:
    for port in world.ports.values():
        known = {m.name: (m.leader, m.sync, m.state) for m in port.cluster().members}
        assert known == {world.primary: (True, False, "running"), world.standby: (False, True, "streaming")}


def test_the_dynamic_configuration_is_a_mapping(world: World) -> None:
    assert isinstance(dict(world.ports[world.primary].config()), dict)


def test_a_patroni_that_does_not_run_is_a_closed_port(pair: Pair) -> None:
    fake = FakePatroni(pair.ports.patroni["db1"].itself(), pair.ports.patroni["db1"].cluster(), up=False)
    with pytest.raises(PortClosed):
        fake.itself()
    with pytest.raises(PortClosed):
        closed_patroni(pair).itself()


def closed_patroni(pair: Pair) -> Patroni:
    from hactl.adapters.patroni_rest import PatroniRest

    site = pair.net.site()
    http = HttpsClient(site.ca, site.cert, site.key)
    return PatroniRest(http, f"https://{pair.net.address('wit1')}:8008")


def test_a_certificate_of_another_ca_is_refused_by_us_and_ours_by_the_other(pair: Pair) -> None:
    """Mutual TLS: a stranger's server is not believed, a stranger's client is not answered."""
    from hactl.adapters.patroni_rest import PatroniRest

    with loopback() as stranger:
        own, other = pair.net.site(), stranger.site()
        url = f"https://{pair.net.address('db1')}:8008"
        with pytest.raises(Untrusted, match="not trusted"):
            PatroniRest(HttpsClient(other.ca, own.cert, own.key), url).itself()
        with pytest.raises(Unreachable):  # Patroni hangs up without a word
            PatroniRest(HttpsClient(own.ca, other.cert, other.key), url).itself()
