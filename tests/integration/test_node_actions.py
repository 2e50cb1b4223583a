"""Acts on nodes against real servers: PostgreSQL restarted by Patroni, keys that end with etcd's leases."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hactl import layout
from hactl.act import etcd_care, node_keys, node_restart
from hactl.act.maintenance import Operator
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.adapters.patroni_control import PatroniControl
from hactl.decide.node_actions import itself
from hactl.decide.node_fence import intent
from hactl.decide.restart import RestartEtcd, RestartPostgres, RestartUnit, SwitchOver, Wish, of_all, of_node
from hactl.errors import Refused, StepFailed
from hactl.observe.gather import gather
from hactl.spec.model import ClusterSpec
from hactl.view import derive
from hactl.view.archive import Drain, DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, Maintenance
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.parse.agent_facts import facts_text
from hactl.wiring import etcd_kv, status_ports
from tests.support.keysview import agent
from tests.support.servers import (
    EtcdCluster,
    Loopback,
    PatroniPair,
    etcd_cluster,
    loopback,
    patroni_pair,
    wait_until,
)

NODES = ("db1", "db2", "wit1")


@dataclass
class Servers:
    net: Loopback
    etcd: EtcdCluster
    pair: PatroniPair
    spec: ClusterSpec

    def look(self) -> ClusterView:
        """Nobody holds a virtual IP here: the primary stands in for its holder."""
        view = gather(status_ports(self.spec, self.net.site()))
        vip = dataclasses.replace(view.vips["database"], holder=derive.primary(view))
        return dataclasses.replace(view, vips={**view.vips, "database": vip})

    def control(self, node: str) -> PatroniControl:
        http = HttpsClient(self.net.ca.crt, self.net.cert.cert, self.net.cert.key)
        return PatroniControl(http, f"https://{self.net.address(node)}:{layout.PORT_PATRONI}", "", "")

    @contextlib.contextmanager
    def operator(self) -> Iterator[Operator]:
        kv = etcd_kv(self.spec, self.net.site())
        try:
            yield Operator(kv, Keys(self.spec.cluster), SystemClock(), "operator anna", "desk")
        finally:
            kv.close()

    def started(self, node: str) -> str:
        return self.pair.psql(node, "select pg_postmaster_start_time()")

    def restart(self, node: str, wish: Wish) -> None:
        plan = of_node(self.spec, self.look(), node, wish)
        assert plan.vetoes == ()
        node_restart.run(self.spec, plan.steps, self.means())

    def means(self) -> node_restart.Means:
        def never(*_: object) -> None:
            raise AssertionError("not of this test")

        return node_restart.Means(
            look=self.look, postgres=self._postgres, switch=never, archive=never, etcd=never, unit=never,
            begun=lambda _: None, ended=lambda *_: None, clock=SystemClock(), say=lambda _: None,
        )  # fmt: skip

    def all_means(self, done: list[str], kv: EtcdKvClient) -> node_restart.Means:
        """As the command has them; an agent's order to restart etcd is carried out here."""

        def switch(step: SwitchOver) -> None:
            self.control(step.node).switch_over(step.node, step.to)
            assert self.pair.wait_streaming() == step.to

        def etcd(node: str) -> None:
            voters = tuple(self.spec.voters)
            etcd_care.leave(kv, node, voters)
            self.etcd.members[node].stop()
            self.etcd.members[node].start()
            etcd_care.wait_well(kv, voters, f"restart etcd on {node}")

        return dataclasses.replace(
            self.means(), switch=switch, etcd=etcd, unit=lambda *_: None,
            begun=lambda step: done.append(f"{type(step).__name__} {step.node}"),
        )  # fmt: skip

    def _postgres(self, step: RestartPostgres) -> None:
        self.control(step.node).restart(step.node, primary=step.primary, pending=step.pending)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(loopback())
        etcd = stack.enter_context(etcd_cluster(net))
        pair = stack.enter_context(patroni_pair(net))
        pair.wait_streaming()
        yield Servers(net, etcd, pair, net.spec(NODES))


def roles(servers: Servers) -> tuple[str, str]:
    primary = servers.pair.wait_streaming()
    return primary, "db2" if primary == "db1" else "db1"


def test_a_standby_is_restarted_and_is_synchronous_again(servers: Servers) -> None:
    primary, standby = roles(servers)
    before, others = servers.started(standby), servers.started(primary)
    servers.restart(standby, Wish())
    assert servers.started(standby) != before
    assert servers.started(primary) == others
    found = itself(servers.look(), standby)
    assert found is not None
    assert (found.replication_state, found.sync) == ("streaming", True)


def test_a_primary_is_restarted_in_place_and_stays_primary(servers: Servers) -> None:
    primary, _ = roles(servers)
    before = servers.started(primary)
    servers.restart(primary, Wish(in_place=True))
    assert servers.started(primary) != before
    assert servers.pair.wait_streaming() == primary


def test_patroni_itself_looks_at_the_role_and_at_what_waits(servers: Servers) -> None:
    primary, standby = roles(servers)
    before = servers.started(standby), servers.started(primary)
    for node, is_primary, pending in (
        (standby, True, False),
        (primary, False, False),
        (standby, False, True),
    ):
        with pytest.raises(StepFailed, match="conditions are not satisfied"):
            servers.control(node).restart(node, primary=is_primary, pending=pending)
    assert (servers.started(standby), servers.started(primary)) == before


def test_what_waits_for_a_restart_gets_it(servers: Servers) -> None:
    _, standby = roles(servers)
    http = HttpsClient(servers.net.ca.crt, servers.net.cert.cert, servers.net.cert.key)
    # More than the 100 of before: a standby may have more than its primary, and no less.
    body = json.dumps({"postgresql": {"parameters": {"max_connections": 120}}}).encode()
    url = f"{servers.control(standby).base}/config"
    assert http.send("PATCH", url, within=5, body=body).status == 200

    def waits() -> bool:
        found = itself(servers.look(), standby)
        return found is not None and found.pending_restart

    wait_until("Patroni says that a restart is pending", waits, 30)
    servers.restart(standby, Wish(pending=True))
    wait_until("it is pending no more", lambda: not waits(), 20)
    again = of_node(servers.spec, servers.look(), standby, Wish(pending=True))
    assert [veto.code for veto in again.vetoes] == ["NO_PENDING_RESTART"]


@pytest.fixture
def operator(servers: Servers) -> Iterator[Operator]:
    with servers.operator() as found:
        yield found


def keys_of(servers: Servers) -> Dcs:
    found = servers.look().control
    assert isinstance(found, Dcs)
    return found


def test_maintenance_and_drain_end_together_by_themselves(servers: Servers, operator: Operator) -> None:
    work = Maintenance("arc1", "anna", "disk", stopped=True)
    began = time.monotonic()
    node_keys.begin(operator, work, 3, ["db1", "db2"], Drain("arc1", DrainBy.OPERATOR, "maintenance"))
    seen = keys_of(servers)
    assert seen.maintenance["arc1"].stopped
    assert "arc1" in seen.drains
    with pytest.raises(Refused):
        node_keys.begin(operator, Maintenance("db2", "ben"), 60, ["arc1"])

    def over() -> bool:
        now = keys_of(servers)
        return not now.maintenance and not now.drains

    wait_until("its time is over", over, 20)
    assert time.monotonic() - began > 2


def test_a_fence_by_hand_is_one_transaction_with_who_leads(servers: Servers, operator: Operator) -> None:
    _, standby = roles(servers)
    wanted = intent(keys_of(servers), standby, "anna", "odd")
    node_keys.fence(operator, wanted, [])
    seen = keys_of(servers)
    assert (seen.fences[standby], seen.epoch) == (wanted, wanted.epoch)
    with pytest.raises(Refused):
        node_keys.fence(operator, dataclasses.replace(wanted, by="ben"), [])
    node_keys.unfence(operator, standby, wanted.epoch)
    assert standby not in keys_of(servers).fences


def test_all_of_them_are_restarted_one_after_the_other(servers: Servers, operator: Operator) -> None:
    primary, standby = roles(servers)
    before = {node: servers.started(node) for node in (primary, standby)}
    pids = {node: _pid(servers, node) for node in NODES}
    for node in NODES:
        operator.kv.txn((), (Put(operator.keys.facts(node), facts_text(agent(node))),), within=3)
    leads = str(derive.etcd_leader(servers.look()))
    plan = of_all(servers.spec, servers.look(), Wish())
    assert plan.vetoes == ()
    done: list[str] = []
    assert isinstance(operator.kv, EtcdKvClient)
    node_restart.run(servers.spec, plan.steps, servers.all_means(done, operator.kv))
    followers = [node for node in NODES if node != leads]
    assert done == [
        f"RestartPostgres {standby}", f"SwitchOver {primary}", "RestartUnit wit1", "RestartUnit wit1",
        *(f"RestartEtcd {node}" for node in (*followers, leads)),
    ]  # fmt: skip
    assert servers.pair.wait_streaming() == standby
    assert all(servers.started(node) != was for node, was in before.items())
    assert all(_pid(servers, node) != pid for node, pid in pids.items())


def test_the_second_of_all_is_not_begun_while_the_first_is_not_back(
    servers: Servers, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_restart, "CLEAR_WITHIN", 3.0)
    for node in NODES:
        operator.kv.txn((), (Put(operator.keys.facts(node), facts_text(agent(node))),), within=3)
    steps = (RestartUnit("wit1", "x.service"), RestartEtcd("db1"))
    done: list[str] = []
    assert isinstance(operator.kv, EtcdKvClient)
    means = servers.all_means(done, operator.kv)
    gone = dataclasses.replace(means, unit=lambda *_: servers.etcd.members["wit1"].stop())
    try:
        with pytest.raises(StepFailed, match="ETCD_QUORUM") as failed:
            node_restart.run(servers.spec, steps, gone)
    finally:
        servers.etcd.members["wit1"].start()
        etcd_care.wait_well(operator.kv, NODES, "start it again")
    assert failed.value.last_done == str(steps[0])
    assert done == ["RestartUnit wit1"]


def _pid(servers: Servers, node: str) -> int:
    process = servers.etcd.members[node].process
    assert process is not None
    return process.pid
