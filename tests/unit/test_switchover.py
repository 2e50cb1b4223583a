"""A switchover by hand: every reason against it, and the steps in their order."""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from hactl.act.switchover import CHECKPOINTS, Means, switch
from hactl.adapters.patroni_control import PatroniControl
from hactl.decide.switchover import MAX_LAG, may_switch
from hactl.errors import StepFailed, Unreachable
from hactl.ports import Reply
from hactl.units import Lsn
from hactl.view.control import FenceIntent, Leader, PatroniKeys, PostgresLocal
from hactl.view.model import Unknown
from tests.support.views import (
    Change,
    after,
    agent,
    demo_spec,
    etcd_lost,
    host_lost,
    keys,
    look,
    patroni_lost,
    patroni_says,
    primary,
    standby,
    vip,
)

SPEC = demo_spec()
LEADER = Leader("db1", 7, 7)
LONG = 100.0  # s; so long an outage is waited for in steps of a second


def seen(*changes: Change, **own: Any) -> Any:
    """The healthy pair with agents that report."""
    facts = {name: agent(name) for name in ("db1", "db2", "wit1")}
    return after(keys(**{"facts": facts, **own}), *changes)


def damaged(node: str) -> Any:
    facts = {name: agent(name) for name in ("db1", "db2", "wit1")}
    bad = dataclasses.replace(facts[node], postgres=PostgresLocal(False, "db1", damaged=("orthanc",)))
    return seen(facts={**facts, node: bad})


def codes(view: Any, to: str | None = None) -> list[str]:
    return [v.code for v in may_switch(SPEC, view, to).vetoes]


def patroni(**changes: Any) -> PatroniKeys:
    return dataclasses.replace(look().patroni, **changes)


def test_a_healthy_pair_may_and_the_standby_is_the_target() -> None:
    found = may_switch(SPEC, seen())
    assert (found.primary, found.target, found.vetoes) == ("db1", "db2", ())
    assert may_switch(SPEC, seen(), "db2") == found


@pytest.mark.parametrize(
    ("view", "code"),
    [
        pytest.param(lambda: seen(incident="{}"), "INCIDENT_OPEN", id="a failover is under way"),
        pytest.param(lambda: seen(paused=True), "PAUSED", id="hactl is paused"),
        pytest.param(lambda: seen(patroni=patroni(paused=True)), "PATRONI_PAUSED", id="Patroni is paused"),
        pytest.param(
            lambda: seen(fences={"db2": FenceIntent("db2", 1, "i", "wit1", LEADER)}), "FENCED", id="fenced"
        ),
        pytest.param(lambda: seen(vip("database", "db2")), "VIP_ELSEWHERE", id="the VIP is elsewhere"),
        pytest.param(lambda: seen(vip("database", Unknown("?"))), "VIP_ELSEWHERE", id="nobody says where"),
        pytest.param(lambda: seen(etcd_lost("wit1")), "ETCD_DEGRADED", id="the witness is away"),
        pytest.param(lambda: seen(patroni_lost("db2")), "STANDBY_UNFIT", id="the standby is silent"),
        pytest.param(
            lambda: seen(patroni_says("db2", standby("db2", replication_state=""))), "STANDBY_UNFIT",
            id="it does not stream",
        ),
        pytest.param(lambda: seen(patroni=patroni(sync_standbys=())), "NOT_IN_SYNC", id="it is asynchronous"),
        pytest.param(
            lambda: seen(patroni_says("db2", standby("db2", lsn=Lsn(0x3000000 - MAX_LAG - 1)))),
            "STANDBY_LAGGING", id="it lags",
        ),
        pytest.param(lambda: seen(facts={"db1": agent("db1")}), "AGENT_SILENT", id="no agent there"),
        pytest.param(lambda: damaged("db2"), "PAGES_DAMAGED", id="a page of its data is damaged"),
        pytest.param(lambda: seen(patroni_lost("db1")), "PRIMARY_UNKNOWN", id="no primary is known"),
    ],
)  # fmt: skip
def test_each_reason_against_it(view: Callable[[], Any], code: str) -> None:
    found = may_switch(SPEC, view(), "db2")
    assert code in [v.code for v in found.vetoes]
    assert all(v.why for v in found.vetoes)


def test_all_reasons_are_given_at_once() -> None:
    assert {"PAUSED", "INCIDENT_OPEN", "STANDBY_UNFIT"} <= set(
        codes(seen(host_lost("db2"), paused=True, incident="{}"))
    )


def test_a_target_that_is_none() -> None:
    assert codes(seen(), "db1") == ["ALREADY_PRIMARY"]
    assert codes(seen(), "arc1") == ["NO_TARGET"]
    assert "PRIMARY_UNKNOWN" in codes(seen(patroni_says("db2", primary("db2")))), "two primaries are none"


def test_without_etcd_nothing_is_known() -> None:
    assert codes(dataclasses.replace(seen(), control=Unknown("no majority"))) == ["ETCD_UNKNOWN"]


class Pair:
    """Commits go to db1 until Patroni is asked; `outage` later to db2. The clock moves by looking at it."""

    def __init__(
        self, outage: float = 0.8, *, patroni: str = "", checkpoints: tuple[float, ...] = (0.1,)
    ) -> None:
        self.now, self.asked_at, self.outage = 100.0, 0.0, outage
        self.patroni, self.checkpoints = patroni, list(checkpoints)
        self.said: list[str] = []
        self.taken: list[float] = []
        self.serves = True

    def monotonic(self) -> float:
        self.now += 0.001
        return self.now

    def wall(self) -> float:
        return 0.0

    def boottime(self) -> float:
        return self.now

    def checkpoint(self) -> None:
        if not self.checkpoints:
            raise StepFailed("permission denied")
        self.taken.append(self.checkpoints.pop(0))
        self.now += self.taken[-1]

    def ask(self) -> None:
        if self.patroni:
            raise StepFailed(self.patroni)
        self.asked_at = self.now

    def commit(self) -> str:
        self.now += 0.02
        if not self.serves or (self.asked_at and self.now < self.asked_at + self.outage):
            self.now += 1.0 if not self.serves or self.outage > LONG else 0.0
            raise Unreachable("no answer in time")
        return "db2" if self.asked_at else "db1"

    def means(self) -> Means:
        return Means(self.checkpoint, self.ask, self.commit, self, self.said.append)


def test_the_outage_is_the_longest_time_between_two_commits() -> None:
    found = switch(Pair(0.8).means(), "db2")
    assert 0.8 <= found.outage < 1.2
    assert found.commits >= 2


def test_a_long_checkpoint_is_followed_by_a_short_one_and_not_for_ever() -> None:
    pair = Pair(checkpoints=(30.0, 0.2, 0.1))
    switch(pair.means(), "db2")
    assert pair.taken == [30.0, 0.2]
    busy = Pair(checkpoints=(30.0,) * 10)
    switch(busy.means(), "db2")
    assert len(busy.taken) == CHECKPOINTS


def test_without_a_checkpoint_it_goes_on_and_says_so() -> None:
    pair = Pair(checkpoints=())
    switch(pair.means(), "db2")
    assert "permission denied" in pair.said[0]


def test_nothing_is_begun_where_no_commit_gets_through() -> None:
    pair = Pair()
    pair.serves = False
    with pytest.raises(Unreachable, match="nothing was begun"):
        switch(pair.means(), "db2")
    assert not pair.asked_at


def test_patroni_s_refusal_is_passed_on() -> None:
    with pytest.raises(StepFailed, match="412"):
        switch(Pair(patroni="Patroni on db1 answers 412: no").means(), "db2")


def test_who_does_not_serve_afterwards_is_a_failure_that_says_what_was_done() -> None:
    with pytest.raises(StepFailed) as caught:
        switch(Pair(outage=1000.0).means(), "db2")
    assert "db2 is the primary" in caught.value.last_done


class Rest:
    def __init__(self, status: int, body: bytes = b"") -> None:
        self.reply = Reply(status, body)
        self.sent: dict[str, Any] = {}

    def send(
        self, method: str, url: str, *, within: float, body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        self.sent = {"what": f"{method} {url}", "body": json.loads(body), "within": within, **(headers or {})}
        return self.reply


def test_patroni_is_asked_for_this_leader_and_this_candidate_with_its_password() -> None:
    rest = Rest(200, b"Successfully switched over")
    control = PatroniControl(rest, "https://192.0.2.11:8008", "hactl", "s3cret")
    control.switch_over("db1", "db2")
    assert rest.sent["what"] == "POST https://192.0.2.11:8008/switchover"
    assert rest.sent["body"] == {"leader": "db1", "candidate": "db2"}
    assert base64.b64decode(rest.sent["Authorization"].split()[1]) == b"hactl:s3cret"
    assert "s3cret" not in repr(control)


def test_what_patroni_refuses_is_said_in_its_words() -> None:
    control = PatroniControl(Rest(412, b"no good candidates"), "https://192.0.2.11:8008", "hactl", "x")
    with pytest.raises(StepFailed, match="412: no good candidates"):
        control.switch_over("db1", "db2")
