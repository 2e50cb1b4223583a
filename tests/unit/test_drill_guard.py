"""May a drill be where people rely on the service: each reason against it; and what would be a surprise."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from hactl.decide.drill import FAULTS, Around, NodeSaid, Wanted, may_drill, surprises
from hactl.spec.model import ClusterSpec
from hactl.view.control import Maintenance, Order
from hactl.view.drill import LastDrill
from hactl.view.model import Unknown
from hactl.view.scheduled import Scheduled
from tests.support.faults import agreed
from tests.support.rendered import sample
from tests.support.snapshots import fence
from tests.support.views import (
    Change,
    after,
    archive_lost,
    etcd_lost,
    host_lost,
    keys,
    node_unreachable,
    patroni_lost,
    paused,
    vip,
)

NOON = dt.datetime(2026, 11, 23, 12)  # noqa: DTZ001 - local time has no zone
CALM = {name: NodeSaid() for name in ("db1", "db2", "wit1", "arc1", "arc2")}
AROUND = Around(NOON, 0, "db1", CALM)
CRASH = Wanted("crash-postgres", "db1", 1)
ELSE: dict[str, Any] = {}


def codes(
    *changes: Change, spec: ClusterSpec | None = None, wanted: Wanted = CRASH, around: Around = AROUND
) -> set[str]:
    return {v.code for v in may_drill(spec or agreed(), after(*changes), wanted, around)}


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_stands_against_it(fault: str) -> None:
    striker = {"power-off": "wit1", "switchover": ""}.get(fault, "db1")
    assert codes(wanted=Wanted(fault, "db1", 1), around=replace(AROUND, striker=striker)) == set()


def test_that_drills_are_overdue_is_no_reason_against_one() -> None:
    assert codes(keys(drill=LastDrill(1.0, "x", clean=True))) == set()


AT = {"spec": agreed(begin="13:00", end="14:00")}
ENDS = {"spec": agreed(begin="11:00", end="12:09")}
WORK = Maintenance("db1", "anna", "new disk")
REASONS = [
    pytest.param([], {"wanted": Wanted("freeze", "db1")}, {"LAB_ONLY"}, id="only a lab mends it"),
    pytest.param([], {"wanted": Wanted("kill-orthanc", ""), "around": replace(AROUND, striker="")},
                 {"NOBODY_TO_STRIKE", "NODE_REFUSES"}, id="nobody has the role"),
    pytest.param([], {"wanted": Wanted("power-off", "arc1"), "around": replace(AROUND, striker="wit1")},
                 {"NO_FENCE_AGENT"}, id="no way to cut its power"),
    pytest.param([], {"spec": sample(drills={}), "around": replace(AROUND, nodes={})},
                 {"NO_WINDOW", "NODE_REFUSES"}, id="nothing is agreed"),
    pytest.param([], {"around": replace(AROUND, local=None)}, {"ZONE_UNKNOWN"}, id="an unknown time zone"),
    pytest.param([], AT, {"OUTSIDE_WINDOW"}, id="not now"),
    pytest.param([], ENDS, {"WINDOW_ENDS"}, id="not for long enough"),
    pytest.param([patroni_lost("db2")], ELSE, {"NOT_REDUNDANT", "STANDBY_UNFIT"}, id="no standby"),
    pytest.param([archive_lost("arc2")], ELSE, {"NOT_REDUNDANT"}, id="an archive node is away"),
    pytest.param([node_unreachable("wit1")], ELSE, {"NOT_REDUNDANT"}, id="a node is away"),
    pytest.param([etcd_lost("wit1")], ELSE, {"NOT_REDUNDANT", "ETCD_DEGRADED"}, id="a vote is away"),
    pytest.param([vip("database", "db2")], ELSE, {"VIP_ELSEWHERE"}, id="the VIP is elsewhere"),
    pytest.param([keys(paused=True)], ELSE, {"PAUSED", "NOT_REDUNDANT"}, id="paused"),
    pytest.param([paused()], ELSE, {"NOT_REDUNDANT"}, id="Patroni is paused"),
    pytest.param([keys(incident="{}")], ELSE, {"INCIDENT_OPEN", "NOT_REDUNDANT"}, id="a failover"),
    pytest.param([keys(fences={"db2": fence("db2")})], ELSE, {"FENCED", "NOT_REDUNDANT"}, id="a fence"),
    pytest.param([keys(orders={"arc1": Order("arc1", "o1", "restart")})], ELSE, {"ORDER_AT_WORK"},
                 id="an order"),
    pytest.param([keys(scheduled=Scheduled("9f3c21aa", 1.0, "db2", "anna", ""))], ELSE, {"SCHEDULED"},
                 id="a switchover for later"),
    pytest.param([], {"around": replace(AROUND, recent=2)}, {"TOO_MANY_FAILOVERS"}, id="none would be left"),
    pytest.param([], {"around": replace(AROUND, nodes={**CALM, "arc1": Unknown("no login")})},
                 {"NODE_SILENT"}, id="a node that says nothing"),
    pytest.param([], {"around": replace(AROUND, nodes={**CALM, "db2": NodeSaid("", "kill-patroni")})},
                 {"FAULT_UNDER_WAY"}, id="another fault"),
    pytest.param([], {"around": replace(AROUND, nodes={**CALM, "db1": NodeSaid("its clock says no")})},
                 {"NODE_REFUSES"}, id="the node's own clock"),
    pytest.param([], {"around": replace(AROUND, nodes={})}, {"NODE_REFUSES"}, id="it was not deployed"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "given", "want"), REASONS)
def test_each_reason_against_it(changes: list[Change], given: dict[str, Any], want: set[str]) -> None:
    found = codes(*changes, **given)
    assert want <= found
    assert found <= want | {"NOT_REDUNDANT", "NOT_IN_SYNC"}


def test_what_maintenance_keeps_quiet_counts_too() -> None:
    found = codes(keys(maintenance={"arc1": WORK}), archive_lost("arc1"))
    assert found == {"IN_MAINTENANCE", "NOT_REDUNDANT"}


def test_all_reasons_are_said_at_once() -> None:
    changes = [keys(paused=True), archive_lost("arc2")]
    found = codes(*changes, spec=agreed(begin="13:00", end="14:00"), around=replace(AROUND, recent=3))
    assert {"OUTSIDE_WINDOW", "PAUSED", "NOT_REDUNDANT", "TOO_MANY_FAILOVERS"} <= found


def test_a_fault_that_moves_nobody_costs_no_failover() -> None:
    kill = Wanted("kill-patroni", "db1", 0)
    assert codes(wanted=kill, around=replace(AROUND, recent=3)) == set()


def test_a_node_s_closed_window_matters_only_where_it_is_asked() -> None:
    nodes = {**CALM, "db2": NodeSaid("its clock says no")}
    assert codes(around=replace(AROUND, nodes=nodes)) == set()


SURPRISES = [
    pytest.param(CRASH, [], set(), id="all is well"),
    pytest.param(CRASH, [patroni_lost("db1")], set(), id="the struck node"),
    pytest.param(Wanted("power-off", "db1", 1), [host_lost("db1")], set(), id="its whole host"),
    pytest.param(CRASH, [node_unreachable("wit1")], {"NODE_UNREACHABLE"}, id="another node"),
    pytest.param(CRASH, [paused()], {"PATRONI_PAUSED"}, id="somebody paused"),
    pytest.param(CRASH, [keys(maintenance={"db1": WORK})], set(), id="maintenance is no finding by itself"),
    pytest.param(Wanted("kill-orthanc", "arc1"), [archive_lost("arc1")], set(), id="an archive node"),
    pytest.param(
        Wanted("kill-orthanc", "arc1"), [archive_lost("arc2")], {"ARCHIVE_NODE_DOWN"}, id="the other one"
    ),
    pytest.param(
        Wanted("kill-orthanc", "arc1"), [patroni_lost("db2")], {"PATRONI_DOWN"}, id="a database node"
    ),
    pytest.param(CRASH, [keys(drill=LastDrill(1.0, "x", clean=True))], set(), id="drills are overdue"),
]


@pytest.mark.parametrize(("wanted", "changes", "want"), SURPRISES)
def test_what_the_fault_does_not_explain(wanted: Wanted, changes: list[Change], want: set[str]) -> None:
    found = {v.code for v in surprises(agreed(), after(*changes), wanted, "db1")}
    assert want <= found
    assert bool(found) is bool(want)


def test_a_primary_that_moves_though_nothing_asked_for_it() -> None:
    kill = Wanted("kill-patroni", "db2", 0)
    assert [v.code for v in surprises(agreed(), after(), kill, "db2")] == ["PRIMARY_MOVED"]
    assert not surprises(agreed(), after(), replace(kill, moves=1), "db2")
