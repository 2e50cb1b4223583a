"""One look at etcd, from the keys as Patroni, agents and controller write them."""

from __future__ import annotations

import pytest

from hactl.units import Lsn
from hactl.view.control import Dcs, DcsMember, Fenced, FenceIntent, Leader, Mode, Order, OrderDone, Prime
from hactl.view.control_text import fence_text, order_text, prime_text
from hactl.view.keys import Keys
from hactl.view.model import DbRole
from hactl.view.parse.agent_facts import facts_text
from hactl.view.parse.control import parse_look
from tests.fakes.etcd import FakeEtcd
from tests.support.views import agent

KEYS = Keys("demo")
MEMBER = (
    '{"conn_url":"postgres://192.0.2.11:5432/postgres","api_url":"https://192.0.2.11:8008/patroni",'
    '"state":"running","role":"primary","version":"4.1.5","xlog_location":67108960,"timeline":3}'
)
STANDBY = (
    '{"state":"running","role":"replica","xlog_location":67108960,"replication_state":"streaming",'
    '"timeline":3,"pause":true}'
)
INTENT = FenceIntent("db1", 4, "i-4", "wit1", Leader("db1", 77, 12), "three of four paths are silent")


def looked(values: dict[str, str]) -> Dcs:
    etcd = FakeEtcd()
    for key, value in values.items():
        etcd.put(key, value)
    return parse_look(KEYS, etcd.client().ranges(KEYS.look(), within=1))


def test_what_patroni_writes_becomes_our_words() -> None:
    dcs = looked({
        "/service/demo/leader": "db1",
        "/service/demo/sync": '{"leader":"db1","sync_standby":"db2,db3"}',
        "/service/demo/members/db1": MEMBER,
        "/service/demo/members/db2": STANDBY,
        "/service/demo/config": '{"ttl":20,"pause":true}',
        "/service/demo/history": "[]",
        "/service/demo2/leader": "stranger",
    })  # fmt: skip
    patroni = dcs.patroni
    assert patroni.leader == Leader("db1", 0, 2)
    assert (patroni.sync_leader, patroni.sync_standbys) == ("db1", ("db2", "db3"))
    assert patroni.members == {
        "db1": DcsMember("db1", DbRole.PRIMARY, "running", "", 3, Lsn(67108960)),
        "db2": DcsMember("db2", DbRole.STANDBY, "running", "streaming", 3, Lsn(67108960)),
    }
    assert patroni.paused
    assert dcs.problems == ()


def test_what_agents_and_controllers_write() -> None:
    own = KEYS.own
    dcs = looked({
        KEYS.alive("db1"): '{"boot":"b","seq":5}',
        KEYS.mode("db1"): "leased",
        KEYS.mode("db2"): "open",
        KEYS.fence("db1"): fence_text(INTENT),
        KEYS.fenced("db1"): '{"epoch":4,"postgres":"stopped","boot":"b"}',
        KEYS.prime("db2"): prime_text(Prime("db2", 4, "192.0.2.11")),
        KEYS.primed("db2"): '{"epoch":4,"killed":3}',
        KEYS.order("db1"): order_text(Order("db1", "o1", "restart", "keepalived.service")),
        KEYS.done("db1"): '{"id":"o1","ok":true,"said":""}',
        KEYS.controller: '{"node":"wit1","boot":"b","since":"now","id":"x"}',
        KEYS.standby("db2"): '{"node":"db2"}',
        KEYS.standby("db1"): '{"node":"db1"}',
        KEYS.incident: "{}",
        KEYS.epoch: "4",
        KEYS.recent_failover(3): "{}",
        KEYS.recent_failover(4): "{}",
        KEYS.budget("db1", "rejoin", "1"): "",
        KEYS.budget("db1", "rejoin", "2"): "",
        KEYS.budget("db2", "restart:etcd.service", "1"): "",
        KEYS.facts("db1"): facts_text(agent("db1")),
        KEYS.journal(1): "a record, and thousands more",
        f"{own}of-a-later-version/x": "unknown",
    })  # fmt: skip
    assert dcs.alive["db1"].value == '{"boot":"b","seq":5}'
    assert dcs.modes == {"db1": Mode.LEASED, "db2": Mode.OPEN}
    assert dcs.mode_revisions["db2"] > dcs.mode_revisions["db1"]
    assert dcs.fences == {"db1": INTENT}
    assert dcs.fenced == {"db1": Fenced("db1", 4, "stopped")}
    assert dcs.primes == {"db2": Prime("db2", 4, "192.0.2.11")}
    assert dcs.primed == {"db2": 4}
    assert dcs.orders == {"db1": Order("db1", "o1", "restart", "keepalived.service")}
    assert dcs.done == {"db1": OrderDone("db1", "o1", ok=True)}
    assert (dcs.active, dcs.standing_by) == ("wit1", ("db1", "db2"))
    assert (dcs.incident, dcs.epoch, dcs.recent_failovers) == ("{}", 4, 2)
    assert dcs.budget == {("db1", "rejoin"): 2, ("db2", "restart:etcd.service"): 1}
    assert dcs.facts == {"db1": agent("db1")}
    assert not dcs.paused
    assert dcs.problems == ()


def test_nothing_there_is_nothing_known() -> None:
    assert looked({}) == Dcs(revision=1)


@pytest.mark.parametrize("broken", ["", "{", "[]", "7", "null", '{"epoch":"x"}', "�"])
@pytest.mark.parametrize(
    "key",
    [
        KEYS.mode("db1"), KEYS.fence("db1"), KEYS.fenced("db1"), KEYS.prime("db1"), KEYS.primed("db1"),
        KEYS.order("db1"), KEYS.done("db1"), KEYS.facts("db1"), KEYS.controller, "/service/demo/sync",
        "/service/demo/members/db1", "/service/demo/config",
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_read_spoils_itself_only(key: str, broken: str) -> None:
    dcs = looked({key: broken, "/service/demo/leader": "db2", KEYS.mode("db2"): "leased"})
    known = "members/" in key and broken == '{"epoch":"x"}'  # a member of which nothing is said
    known |= key.endswith(("config", "sync")) and broken.startswith('{"')
    assert len(dcs.problems) == (0 if known else 1)
    assert all(p.startswith(f"{key}: ") for p in dcs.problems)
    assert dcs.patroni.leader
    assert dcs.modes["db2"] is Mode.LEASED


def test_any_word_under_paused_means_hands_off() -> None:
    assert looked({KEYS.paused: "{"}).paused
