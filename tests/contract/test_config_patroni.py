"""Configuration against a real etcd and a real pair under Patroni: what is looked at, what is recorded."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hactl import wiring
from hactl.act import config_versions
from hactl.act.config_versions import Draft
from hactl.adapters import postgres_settings
from hactl.adapters.http import HttpsClient
from hactl.adapters.patroni_rest import PatroniRest
from hactl.decide.config_drift import Wanted, deviations
from hactl.observe.config import Seen, Server, look
from tests.support.servers import (
    EtcdCluster,
    Loopback,
    PatroniPair,
    etcd_cluster,
    loopback,
    patroni_pair,
    wait_until,
)

Found = set[tuple[str, str, str]]


@dataclass
class Pair:
    net: Loopback
    patroni: PatroniPair
    etcd: EtcdCluster
    primary: str
    standby: str

    @property
    def http(self) -> HttpsClient:
        site = self.net.site()
        return HttpsClient(site.ca, site.cert, site.key)

    def url(self, node: str) -> str:
        return f"https://{self.net.address(node)}:8008"

    def patch(self, config: dict[str, Any]) -> None:
        body = json.dumps(config).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        url = f"{self.url(self.primary)}/config"
        assert self.http.send("PATCH", url, within=10, body=body, headers=headers).status == 200

    def look(self) -> Seen:
        def server(node: str) -> Server:
            rest = PatroniRest(self.http, self.url(node))
            where = {"host": str(self.net.folder / f"run-{node}"), "user": "postgres", "dbname": "postgres"}
            return Server(postgres_settings.by_connection(where), rest.waiting, rest.itself, rest.config)

        return look({node: server(node) for node in ("db1", "db2")})

    def drift(self, wanted: dict[str, Any]) -> Found:
        seen = self.look()
        assert not seen.silent
        return {(d.kind.value, d.name, d.where) for d in deviations(Wanted(wanted), seen.dcs, seen.running)}


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with loopback() as net, etcd_cluster(net) as etcd, patroni_pair(net) as patroni:
        primary = patroni.wait_streaming()
        yield Pair(net, patroni, etcd, primary, "db2" if primary == "db1" else "db1")


def test_from_patroni_to_the_servers_and_by_hand(pair: Pair) -> None:
    wanted: dict[str, Any] = dict(pair.look().dcs or {})
    parameters = wanted["postgresql"].setdefault("parameters", {})
    assert pair.drift(wanted) == set(), "as it was made"
    assert next(iter(pair.look().running)) == pair.primary, "the primary comes first"

    pair.patch({"postgresql": {"parameters": {"work_mem": "9MB", "max_worker_processes": 12}}, "ttl": 10})
    both = {("pending", "max_worker_processes", n) for n in ("db1", "db2")}
    by_hand = {
        ("dcs", "max_worker_processes", ""),
        ("dcs", "work_mem", ""),
        ("clamped", "ttl", ""),
    }
    wait_until(
        "the servers follow, but for what needs a restart", lambda: pair.drift(wanted) == by_hand | both, 20
    )
    waits = pair.look().running[pair.standby].waiting
    assert waits == {"max_worker_processes": ("8", "12")}

    pair.patch({"ttl": 20})
    parameters.update({"work_mem": 9216, "max_worker_processes": "12"})
    assert pair.drift(wanted) == both, "now the spec says the same, in other words"

    pair.patroni.psql(pair.standby, "alter system set work_mem = '5MB'")
    pair.patroni.psql(pair.standby, "select pg_reload_conf()")
    hand = ("running", "work_mem", pair.standby)
    wait_until("ALTER SYSTEM is seen", lambda: pair.drift(wanted) == {hand, *both}, 20)
    pair.patroni.psql(pair.standby, "alter system reset work_mem")
    pair.patroni.psql(pair.standby, "select pg_reload_conf()")
    wait_until("and gone when it is reset", lambda: pair.drift(wanted) == both, 20)


def test_a_node_that_is_silent_is_named_and_the_other_one_told(pair: Pair) -> None:
    with pair.patroni.frozen(pair.standby):
        seen = pair.look()
    assert set(seen.running) == {"db1", "db2"}
    assert f"Patroni of {pair.standby}" in seen.silent
    assert seen.dcs is not None


def test_versions_in_a_real_etcd(pair: Pair) -> None:
    spec, site = pair.net.spec(), pair.net.site()
    with contextlib.closing(wiring.etcd_kv(spec, site)) as kv:
        operator = dataclasses.replace(wiring.operator(spec, site), kv=kv)
        assert config_versions.newest(operator) is None
        first = config_versions.begin(operator, Draft("a: 1\n", "deploy"))
        config_versions.applied(operator, first)
        second = config_versions.begin(operator, Draft("a: 2\n", "edit", "because"))
        assert config_versions.begin(operator, Draft("a: 2\n", "deploy")) == second
        assert [(v.number, v.how, bool(v.applied)) for v in config_versions.every(operator)] == [
            (1, "deploy", True),
            (2, "edit", False),
        ]
    assert not wiring.etcd_gateways(spec, wiring.https(site))["db1"].keys().problems
