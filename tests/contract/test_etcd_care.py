"""A real etcd of three members that has used up its quota, mended one member at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hactl.act import etcd_care
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.decide.etcd_care import HandOver, Step, mending
from hactl.ports import NoSpace
from hactl.view.kv import Delete, Get, Put
from hactl.view.model import EtcdStatus
from tests.support.fill import QUOTA, SMALL, fill, refuses
from tests.support.servers import VOTERS, EtcdCluster, Loopback, etcd_cluster, loopback, wait_until


@pytest.fixture
def net() -> Iterator[Loopback]:
    with loopback() as found:
        yield found


@pytest.fixture
def cluster(net: Loopback) -> Iterator[EtcdCluster]:
    with etcd_cluster(net, more=QUOTA) as found:
        yield found


@pytest.fixture
def kv(net: Loopback, cluster: EtcdCluster) -> Iterator[EtcdKvClient]:
    client = EtcdKvClient(cluster.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
    yield client
    client.close()


def leader(kv: EtcdKvClient) -> str:
    found = etcd_care.look(kv, VOTERS)
    leads = (n for n, s in found.items() if isinstance(s, EtcdStatus) and s.member_id == s.leader_id)
    return next(leads, "")


def sizes(kv: EtcdKvClient) -> list[int]:
    found = etcd_care.look(kv, VOTERS)
    return [s.db_size.value for s in found.values() if isinstance(s, EtcdStatus)]


def test_a_full_etcd_reads_deletes_and_keeps_leases_and_takes_nothing_else(kv: EtcdKvClient) -> None:
    lease = kv.grant(60, within=5)
    kv.txn((), (Put("/leader", "db1", lease),), within=5)
    fill(kv)
    for refused in (lambda: kv.txn((), (Put("/a", "1"),), within=5), lambda: kv.grant(10, within=5)):
        with pytest.raises(NoSpace, match="space exceeded"):
            refused()
    with pytest.raises(NoSpace):
        kv.txn((), (), (Put("/a", "1"),), within=5)  # nor where the branch with the put is not run
    assert kv.ranges((Get("/leader"),), within=5).ranges[0][0].value == "db1"
    assert kv.keepalive(lease, within=5) > 50
    assert kv.txn((), (Get("/leader"), Delete("/leader")), within=5).results[0][0].value == "db1"
    assert kv.range("/leader", within=5).first is None


def test_it_is_mended_one_member_at_a_time_and_the_leader_last(kv: EtcdKvClient) -> None:
    fill(kv)
    assert {a.kind for a in kv.alarms(within=5)} == {"NOSPACE"}  # each member that is full raises one
    led = leader(kv)
    kv.txn((), (Delete("/fill/", prefix=True),), within=5)
    kv.txn((), (Delete("/none"),), within=5)
    plan = mending(etcd_care.look(kv, VOTERS), kv.alarms(within=5)).steps
    said: list[Step] = []
    etcd_care.run(kv, plan, VOTERS, said.append)
    assert said == list(plan)
    assert next(s for s in said if isinstance(s, HandOver)).node == led
    assert leader(kv) != led
    assert kv.alarms(within=5) == ()
    assert max(sizes(kv)) < SMALL / 10
    assert not refuses(kv)
    again = mending(etcd_care.look(kv, VOTERS), kv.alarms(within=5))
    etcd_care.run(kv, again.steps, VOTERS, said.append)


def test_with_a_member_down_it_is_refused(kv: EtcdKvClient, cluster: EtcdCluster) -> None:
    cluster.members["db2"].kill()
    wait_until("the others have a leader", lambda: leader(kv) not in {"", "db2"}, 15)
    found = mending(etcd_care.look(kv, VOTERS), ())
    assert [v.code for v in found.vetoes] == ["ETCD_DEGRADED"]
    assert "db2" in found.vetoes[0].why


def test_etcd_tells_prometheus_its_size_and_its_quota(net: Loopback, cluster: EtcdCluster) -> None:
    http = HttpsClient(net.ca.crt, net.cert.cert, net.cert.key)
    told = http.send("GET", f"{cluster.endpoints['db1']}/metrics", within=5).body.decode()
    assert f"etcd_server_quota_backend_bytes {SMALL:.6e}".replace("e+0", "e+0") in told.replace(
        "e+06", "e+06"
    )
    assert "\netcd_mvcc_db_total_size_in_bytes " in told
