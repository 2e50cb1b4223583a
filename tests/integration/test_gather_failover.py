"""A real Patroni pair loses its primary; `gather` and the verdict tell the story as it happens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hactl import wiring
from hactl.decide.health import Verdict, judge
from hactl.observe.gather import WITHIN, gather
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import DbRole
from tests.support.servers import (
    EtcdCluster,
    Loopback,
    PatroniPair,
    etcd_cluster,
    loopback,
    patroni_pair,
    release_leader,
    wait_until,
)


@dataclass
class Installation:
    net: Loopback
    etcd: EtcdCluster
    pair: PatroniPair
    spec: ClusterSpec

    def look(self) -> ClusterView:
        return gather(wiring.status_ports(self.spec, self.net.site()))

    def verdict(self) -> Verdict:
        return judge(self.spec, self.look())

    def codes(self) -> set[str]:
        """Without those of what a loopback does not have: SSH, archive nodes, virtual IPs, controllers."""
        absent = {"NODE_UNREACHABLE", "ALL_ARCHIVES_DOWN", "ARCHIVE_NODE_DOWN", "CONTROLLER_NONE"}
        found = [f for f in self.verdict().findings if f.code.name not in absent]
        return {f.code.name for f in found if f.subject not in {"archive", "database"}}


@pytest.fixture(scope="module")
def base() -> Iterator[Installation]:
    with loopback() as net, etcd_cluster(net) as etcd, patroni_pair(net) as pair:
        yield Installation(net, etcd, pair, net.spec())


@pytest.fixture
def installation(base: Installation) -> Installation:
    """Each test leaves it, or brings it back, to where it heals by itself."""
    base.pair.wait_streaming(90)
    return base


def test_the_primary_is_lost_and_comes_back_as_standby(installation: Installation) -> None:
    view = installation.look()
    lost, timeline = derive.primary(view), derive.timeline(view)
    assert lost is not None
    assert timeline is not None
    assert view.took < WITHIN
    assert derive.leader(view) == lost
    assert installation.codes() <= {"ETCD_LEADER_ON_PRIMARY"}
    survivor = "db2" if lost == "db1" else "db1"

    installation.pair.kill(lost)
    start = time.monotonic()
    seen = installation.codes()
    assert time.monotonic() - start < WITHIN + 0.5
    assert "PRIMARY_UNREACHABLE" in seen

    release_leader(installation.net, installation.etcd.endpoints["wit1"])
    wait_until("the survivor is primary", lambda: derive.primary(installation.look()) == survivor, 45)
    expected = ({"STANDBY_LOST"}, {"STANDBY_LOST", "ETCD_LEADER_ON_PRIMARY"})
    wait_until("only the standby is missed", lambda: installation.codes() in expected, 15)

    installation.pair.members[lost].start()
    wait_until("nothing is wrong", lambda: installation.codes() <= {"ETCD_LEADER_ON_PRIMARY"}, 60)
    members = {m.name: m for m in derive.members(installation.look())}
    assert members[lost].role is DbRole.STANDBY
    assert members[lost].sync
    assert derive.timeline(installation.look()) == timeline + 1


def test_a_frozen_patroni_delays_nobody(installation: Installation) -> None:
    """It accepts connections (its kernel does) and never answers: the rest is there within the deadline."""
    primary = installation.pair.wait_streaming()
    with installation.pair.frozen(primary):
        start = time.monotonic()
        view = installation.look()
        took = time.monotonic() - start
    assert took < WITHIN + 0.5
    assert derive.primary(view) is None
    assert derive.leader(view) == primary
    assert len(derive.selves(view)) == 1


def test_etcd_loses_its_majority_and_the_primary_steps_down(installation: Installation) -> None:
    lost = [installation.etcd.members[name] for name in ("db2", "wit1")]
    for member in lost:
        member.kill()
    try:
        wait_until("no leader is seen", lambda: derive.etcd_quorum(installation.look()) is False, 15)
        wait_until("nobody takes writes", lambda: not derive.primaries(installation.look()), 30)
        told = {"ETCD_NO_QUORUM", "NO_PRIMARY", "ETCD_MEMBER_DOWN"}
        # A look that a busy machine did not finish in time says that it does not know.
        wait_until("it is told", lambda: told <= installation.codes(), 15)
    finally:
        for member in lost:
            member.start()
