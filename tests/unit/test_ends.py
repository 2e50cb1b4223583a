"""Pauses and mutes end at their time, whoever leads etcd meanwhile; a mute that got worse is taken away."""

from __future__ import annotations

import pytest

from hactl.act import mutes
from hactl.act.ends import EVERY, Ends
from hactl.decide.plan import GiveOrder, Reinitialize
from hactl.view.mute import Mute
from hactl.view.parse.by_hand import mute_text
from tests.support.acting import KEYS, Bench

HOUR = 3600


@pytest.fixture
def bench() -> Bench:
    return Bench()


def paused(bench: Bench, seconds: int = HOUR) -> None:
    bench.etcd.put(KEYS.paused, '{"by":"anna"}', bench.etcd.grant(seconds))


def pass_by(bench: Bench, ends: Ends | None, seconds: float, *, leaders: float = 0.0) -> None:
    """Time passes; etcd's leader changes each `leaders` seconds."""
    since = 0.0
    for _ in range(int(seconds // 10)):
        bench.clock.forward(10)
        since += 10
        if leaders and since >= leaders:
            since = 0.0
            bench.etcd.lead("db2")
        if ends is not None:
            ends.look()


def test_it_ends_by_itself_without_anybody(bench: Bench) -> None:
    paused(bench)
    pass_by(bench, None, HOUR - 10)
    assert bench.etcd.value(KEYS.paused)
    pass_by(bench, None, 20)
    assert bench.etcd.value(KEYS.paused) is None


@pytest.mark.parametrize("key", [KEYS.paused, KEYS.mute("STANDBY_LOST", "db2"), KEYS.mute("PAUSED")])
def test_each_change_of_etcd_s_leader_adds_a_minute_at_most(bench: Bench, key: str) -> None:
    bench.etcd.put(key, '{"by":"anna"}', bench.etcd.grant(HOUR))
    ends = Ends(bench.hands)
    pass_by(bench, ends, HOUR - 30, leaders=600)
    assert bench.etcd.value(key) == '{"by":"anna"}'
    pass_by(bench, ends, 30 + 6 * (EVERY + 10), leaders=0)
    assert bench.etcd.value(key) is None
    assert not bench.etcd.leases  # nothing is left over


def test_without_that_a_change_of_leaders_would_start_it_anew(bench: Bench) -> None:
    paused(bench)
    pass_by(bench, None, HOUR + 600, leaders=600)
    assert bench.etcd.value(KEYS.paused)


def test_a_deployment_s_own_pause_keeps_its_lease(bench: Bench) -> None:
    lease = bench.etcd.grant(60)
    bench.etcd.put(KEYS.paused, "{}", lease)
    ends = Ends(bench.hands)
    pass_by(bench, ends, 40)
    assert bench.etcd.pairs[KEYS.paused].lease == lease
    bench.etcd.put(KEYS.paused, "{}")  # and one without any end stays
    pass_by(bench, ends, 100)
    assert bench.etcd.value(KEYS.paused)


def test_who_is_not_active_writes_nothing(bench: Bench) -> None:
    paused(bench)
    lease = bench.etcd.pairs[KEYS.paused].lease
    bench.claim = None
    pass_by(bench, Ends(bench.hands), 200)
    bench.claim = "somebody else's"
    pass_by(bench, Ends(bench.hands), 200)
    assert bench.etcd.pairs[KEYS.paused].lease == lease
    assert list(bench.etcd.leases) == [lease]


def test_etcd_s_silence_is_borne(bench: Bench) -> None:
    paused(bench)
    ends = Ends(bench.hands)
    bench.etcd.kill("db1")
    bench.etcd.kill("wit1")
    pass_by(bench, ends, 120)
    bench.etcd.heal()
    pass_by(bench, ends, 120)
    assert bench.etcd.value(KEYS.paused)


MUTE = Mute("STANDBY_LOST", "db2", "operator anna", "new disk", "warning", 1, 0.0, 9.0)


def test_a_mute_that_got_worse_goes_and_is_told(bench: Bench) -> None:
    bench.etcd.put(KEYS.mute("STANDBY_LOST", "db2"), mute_text(MUTE))
    mutes.end(MUTE, bench.hands)
    assert bench.etcd.value(KEYS.mute("STANDBY_LOST", "db2")) is None
    (kind, action, _, _, data) = bench.book.lines[0]
    assert (kind, action, data["code"], data["subject"]) == ("event", "mute-ended", "STANDBY_LOST", "db2")


def test_one_that_was_made_anew_meanwhile_stays(bench: Bench) -> None:
    bench.etcd.put(KEYS.mute("STANDBY_LOST", "db2"), mute_text(MUTE).replace("new disk", "again"))
    mutes.end(MUTE, bench.hands)
    assert bench.etcd.value(KEYS.mute("STANDBY_LOST", "db2"))
    assert bench.book.lines == []


@pytest.mark.parametrize(
    "action", [GiveOrder("db2", "restart", "etcd.service", rung="restart:etcd.service"), Reinitialize("db2")]
)
def test_what_was_decided_before_somebody_paused_is_not_done(
    bench: Bench, action: GiveOrder | Reinitialize
) -> None:
    bench.etcd.put(KEYS.paused, "{}")
    bench.refused(action)
    assert bench.etcd.value(KEYS.order("db2")) is None
