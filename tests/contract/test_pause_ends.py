"""Pauses, mutes, a scheduled switchover on a real etcd: they end, also when its leader changes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from hactl.act import mutes, scheduled
from hactl.act import pause as acts
from hactl.act.ends import Ends
from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.act.maintenance import Operator
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.decide.plan import SwitchOver
from hactl.errors import Refused
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.mute import Mute
from hactl.view.parse.by_hand import parse_mute, scheduled_text
from hactl.view.parse.control import parse_look
from hactl.view.pause import Pause
from hactl.view.scheduled import Scheduled
from tests.support.acting import Book
from tests.support.servers import etcd_cluster, loopback, wait_until

KEYS, TOKEN = Keys("demo"), '{"id":"me","node":"wit1"}'


@pytest.fixture(scope="module")
def kv() -> Iterator[EtcdKvClient]:
    with loopback() as net, etcd_cluster(net) as cluster:
        client = EtcdKvClient(cluster.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
        yield client
        client.close()


@pytest.fixture
def anna(kv: EtcdKvClient) -> Operator:
    return Operator(kv, KEYS, SystemClock(), "operator anna", "desk")


@pytest.fixture
def hands(kv: EtcdKvClient) -> Hands:
    kv.txn((), (Put(KEYS.controller, TOKEN), Put(KEYS.leader, "db1")), within=2)
    nobody: object = None
    return Hands(
        me="wit1", kv=kv, keys=KEYS, journal=Book(), clock=SystemClock(), claim=lambda: TOKEN,
        fences=nobody, yield_control=lambda _: None, new_id=lambda: "id", addresses={},
        hours=HourLeases(kv, SystemClock()),
    )  # type: ignore[arg-type]  # fmt: skip


def value(kv: EtcdKvClient, key: str) -> str | None:
    found = kv.range(key, within=2).first
    return found.value if found else None


def test_a_pause_ends_by_itself_and_resume_ends_it_before(kv: EtcdKvClient, anna: Operator) -> None:
    acts.pause(anna, Pause("anna", "new switch", 1, 2), 3)
    look = parse_look(KEYS, kv.ranges(KEYS.look(), within=2))
    assert look.paused
    assert look.pause == Pause("anna", "new switch", 1, 2)
    wait_until("it ends", lambda: value(kv, KEYS.paused) is None, 15)
    acts.pause(anna, Pause("anna", "new switch"), 600)
    acts.pause(anna, Pause("anna", "longer"), 1200)
    found = kv.range(KEYS.paused, within=2).first
    assert found is not None
    assert kv.time_left(found.lease, within=2).granted == 1200
    assert acts.resume(anna)
    assert not acts.resume(anna)


def test_a_new_leader_of_etcd_adds_no_more_than_was_not_written_down(
    kv: EtcdKvClient, anna: Operator, hands: Hands
) -> None:
    acts.pause(anna, Pause("anna", "new switch"), 300)
    time.sleep(4)
    Ends(hands).look()
    members = {m.name: m.member_id for m in kv.members(within=2)}
    led = kv.status("wit1", within=2).leader_id
    kv.move_leader(next(i for i in members.values() if i != led), within=5)
    found = kv.range(KEYS.paused, within=5).first
    assert found is not None
    left = kv.time_left(found.lease, within=5)
    assert left.left <= left.granted <= 297
    assert acts.resume(anna)


def test_a_mute_goes_as_it_stands_there(kv: EtcdKvClient, anna: Operator, hands: Hands) -> None:
    made = Mute("STANDBY_LOST", "db2", "anna", "new disk", "warning", 1, 10, 20.5)
    acts.mute(anna, made, 600)
    (read,) = parse_look(KEYS, kv.ranges(KEYS.look(), within=2)).mutes
    assert read == made
    mutes.end(parse_mute("STANDBY_LOST/db2", value(kv, KEYS.mute("STANDBY_LOST", "db2")) or ""), hands)
    assert value(kv, KEYS.mute("STANDBY_LOST", "db2")) is None


def test_a_scheduled_switchover_is_handed_to_patroni_once(kv: EtcdKvClient, hands: Hands) -> None:
    order = Scheduled("a1", 1_800_000_000, "", "anna", "new RAM")
    kv.txn((), (Put(KEYS.scheduled, scheduled_text(order)),), within=2)
    (look,) = [parse_look(KEYS, kv.ranges(KEYS.look(), within=2)).scheduled]
    assert look == order
    scheduled.switch_over(SwitchOver(look, "db1", "db2"), hands)
    assert value(kv, KEYS.switchover) == '{"leader":"db1","member":"db2"}'
    with pytest.raises(Refused):
        scheduled.switch_over(SwitchOver(look, "db1", "db2"), hands)
