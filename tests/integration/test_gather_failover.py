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


@pytest.fixture
def installation() -> Iterator[Installation]:
    with loopback() as net, etcd_cluster(net) as etcd, patroni_pair(net) as pair:
        pair.wait_streaming()
        yield Installation(net, etcd, pair, net.spec())


def test_the_primary_is_lost_and_comes_back_as_standby(installation: Installation) -> None:
    view = installation.look()
    lost = derive.primary(view)
    assert lost is not None
    assert view.took < WITHIN
    assert derive.leader(view) == lost
    assert installation.codes() <= {"ETCD_LEADER_ON_PRIMARY"}
    survivor = "db2" if lost == "db1" else "db1"

    installation.pair.kill(lost)
    start = time.monotonic()
    seen = installation.codes()
    assert time.monotonic() - start < WITHIN + 0.5
    assert "PRIMARY_UNREACHABLE" in seen

    wait_until("the survivor is primary", lambda: derive.primary(installation.look()) == survivor, 45)
    assert installation.codes() <= {"STANDBY_LOST", "ETCD_LEADER_ON_PRIMARY"}
    assert "STANDBY_LOST" in installation.codes()

    installation.pair.members[lost].start()
    wait_until("nothing is wrong", lambda: installation.codes() <= {"ETCD_LEADER_ON_PRIMARY"}, 60)
    members = {m.name: m for m in derive.members(installation.look())}
    assert members[lost].role is DbRole.STANDBY
    assert members[lost].sync
    assert derive.timeline(installation.look()) == 2


def test_etcd_loses_its_majority_and_the_primary_steps_down(installation: Installation) -> None:
    for name in ("db2", "wit1"):
        installation.etcd.members[name].kill()
    wait_until("no leader is seen", lambda: derive.etcd_quorum(installation.look()) is False, 15)
    wait_until("nobody takes writes", lambda: not derive.primaries(installation.look()), 30)
    assert {"ETCD_NO_QUORUM", "NO_PRIMARY", "ETCD_MEMBER_DOWN"} <= installation.codes()


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
