"""What speaks against each act on a node: every veto by itself, and none without a reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hactl.decide.node_fence import Meant
from hactl.decide.node_recovery import may_reinit, may_rejoin
from hactl.decide.node_stop import may_end, may_maintain, may_start, may_stop, units
from hactl.decide.restart import (
    RestartArchive,
    RestartEtcd,
    RestartPostgres,
    RestartUnit,
    SwitchOver,
    Wish,
    against,
    of_all,
    of_node,
)
from hactl.view.archive import Drain, DrainBy
from hactl.view.cluster import ClusterView
from tests.support.keysview import (
    agent_silent,
    facts_of,
    fenced,
    full,
    keys_with,
    led_by,
    ordered,
    postgres_of,
    sync,
)
from tests.support.nodes import blind, codes, maintained, world
from tests.support.views import (
    archive_lost,
    demo_spec,
    etcd_leader_on,
    etcd_lost,
    host_lost,
    patroni_lost,
    patroni_says,
    primary,
    standby,
)

SPEC = demo_spec()
View = Callable[[], ClusterView]
NOBODY = patroni_says("db1", standby("db1"))
IDLE = patroni_says("db2", standby("db2", replication_state="", sync=False))
FORCE = Meant(force=True)
PAUSED = keys_with(paused=True)
DOWN = facts_of("db2", units={"patroni.service": "inactive"})
INCIDENT = keys_with(incident="{}")


def patroni_paused(dcs: Any) -> Any:
    return dataclasses.replace(dcs, patroni=dataclasses.replace(dcs.patroni, paused=True))


def pending(node: str) -> Any:
    itself = primary(node, pending_restart=True) if node == "db1" else standby(node, pending_restart=True)
    return patroni_says(node, itself)


def drained(node: str) -> Any:
    return keys_with(drains={node: Drain(node, DrainBy.OPERATOR, "")})


# restart


@pytest.mark.parametrize(
    ("node", "wish", "steps"),
    [
        ("db2", Wish(), (RestartPostgres("db2"),)),
        ("db1", Wish(), (SwitchOver("db1", "db2"),)),
        ("db1", Wish(in_place=True), (RestartPostgres("db1", primary=True),)),
        ("db1", Wish(etcd=True), (RestartEtcd("db1"),)),
        ("arc1", Wish(), (RestartArchive("arc1"),)),
        (
            "wit1", Wish(),
            (RestartUnit("wit1", "prometheus.service"),
             RestartUnit("wit1", "prometheus-alertmanager.service"), RestartEtcd("wit1")),
        ),
    ],
)  # fmt: skip
def test_what_a_node_is_for_is_restarted(node: str, wish: Wish, steps: tuple[Any, ...]) -> None:
    found = of_node(SPEC, world(), node, wish)
    assert (found.steps, found.vetoes) == (steps, ())


def test_all_of_them_in_order_and_etcds_leader_last() -> None:
    found = of_all(SPEC, world(), Wish())
    assert [str(type(s).__name__) + ":" + s.node for s in found.steps] == [
        "RestartPostgres:db2", "SwitchOver:db1", "RestartArchive:arc1", "RestartArchive:arc2",
        "RestartUnit:wit1", "RestartUnit:wit1", "RestartEtcd:db1", "RestartEtcd:db2", "RestartEtcd:wit1",
    ]  # fmt: skip
    assert not found.vetoes
    assert of_all(SPEC, world(etcd_leader_on("db1")), Wish()).steps[-1] == RestartEtcd("db1")


def test_only_who_waits_for_it_is_restarted() -> None:
    assert of_all(SPEC, world(pending("db2")), Wish(pending=True)).steps == (RestartPostgres("db2"),)
    both = of_all(SPEC, world(pending("db1"), pending("db2")), Wish(pending=True))
    assert both.steps == (RestartPostgres("db2"), SwitchOver("db1", "db2"))
    assert codes(of_all(SPEC, world(), Wish(pending=True))) == ["NO_PENDING_RESTART"]
    for node in ("db1", "db2", "arc1"):
        assert codes(of_node(SPEC, world(), node, Wish(pending=True))) == ["NO_PENDING_RESTART"]
    assert not of_node(SPEC, world(pending("db1")), "db1", Wish(pending=True)).vetoes


@pytest.mark.parametrize(
    ("step", "view", "code"),
    [
        (RestartPostgres("db2"), blind, "ETCD_UNKNOWN"),
        (RestartPostgres("db2"), lambda: world(dcs=(INCIDENT,)), "INCIDENT_OPEN"),
        (RestartPostgres("db2"), lambda: world(dcs=(PAUSED,)), "PAUSED"),
        (RestartPostgres("db2"), lambda: world(dcs=(fenced("db2"),)), "FENCED"),
        (RestartPostgres("db2"), lambda: world(dcs=(ordered("db2", "reinit"),)), "ORDER_AT_WORK"),
        (RestartPostgres("db2"), lambda: world(dcs=(facts_of("db2", joining="pg_rewind"),)), "JOINING"),
        (RestartPostgres("db2"), lambda: world(patroni_lost("db2")), "PATRONI_SILENT"),
        (RestartPostgres("db2"), lambda: world(patroni_says("db2", standby("db2", state="stopped"))),
         "NOT_RUNNING"),
        (RestartPostgres("db2"), lambda: world(NOBODY), "PRIMARY_UNKNOWN"),
        (RestartPostgres("db1"), world, "IS_PRIMARY"),
        (RestartPostgres("db2", primary=True), world, "NOT_PRIMARY"),
        (RestartPostgres("db2", pending=True), world, "NO_PENDING_RESTART"),
        (SwitchOver("db1", "db2"), blind, "ETCD_UNKNOWN"),
        (SwitchOver("db1", "db2"), lambda: world(dcs=(sync(),)), "NOT_IN_SYNC"),
        (SwitchOver("db1", "db2"), lambda: world(IDLE), "STANDBY_UNFIT"),
        (SwitchOver("db1", "db2"), lambda: world(dcs=(ordered("db1", "restart"),)), "ORDER_AT_WORK"),
        (SwitchOver("db2", "db1"), world, "NOT_PRIMARY"),
        (RestartArchive("arc1"), lambda: world(archive_lost("arc2")), "NO_OTHER_ARCHIVE"),
        (RestartArchive("arc1"), lambda: world(dcs=(drained("arc2"),)), "NO_OTHER_ARCHIVE"),
        (RestartArchive("arc1"), lambda: world(dcs=(INCIDENT,)), "INCIDENT_OPEN"),
        (RestartArchive("arc1"), lambda: world(dcs=(PAUSED,)), "PAUSED"),
        (RestartArchive("arc1"), lambda: world(dcs=(agent_silent("arc1"),)), "AGENT_SILENT"),
        (RestartEtcd("db2"), lambda: world(etcd_lost("wit1")), "ETCD_QUORUM"),
        (RestartEtcd("db2"), lambda: world(dcs=(agent_silent("db2"),)), "AGENT_SILENT"),
        (RestartEtcd("db2"), lambda: world(dcs=(INCIDENT,)), "INCIDENT_OPEN"),
        (RestartUnit("wit1", "prometheus.service"), lambda: world(dcs=(agent_silent("wit1"),)),
         "AGENT_SILENT"),
        (RestartUnit("wit1", "prometheus.service"), lambda: world(dcs=(PAUSED,)), "PAUSED"),
    ],
)  # fmt: skip
def test_each_reason_not_to_begin_a_step(step: Any, view: View, code: str) -> None:
    assert code in [veto.code for veto in against(SPEC, view(), step)]


def test_a_drained_archive_node_needs_nobody_to_take_over() -> None:
    assert against(SPEC, world(archive_lost("arc2"), dcs=(drained("arc1"),)), RestartArchive("arc1")) == ()


def test_nothing_of_all_begins_while_anything_is_not_well() -> None:
    found = of_all(SPEC, world(archive_lost("arc2"), etcd_lost("wit1")), Wish())
    assert {"NO_OTHER_ARCHIVE", "ETCD_QUORUM", "ETCD_DEGRADED"} <= set(codes(found))
    assert "PRIMARY_UNKNOWN" in codes(of_all(SPEC, world(NOBODY), Wish(pending=True)))
    assert codes(of_all(SPEC, blind(), Wish())) == ["ETCD_UNKNOWN"]


def test_who_is_worked_on_is_no_target_and_not_passed_over() -> None:
    view = world(dcs=(maintained("db2"),))
    assert codes(of_all(SPEC, view, Wish())) == ["IN_MAINTENANCE", "IN_MAINTENANCE"]
    assert [v.code for v in against(SPEC, view, SwitchOver("db1", "db2"))] == ["IN_MAINTENANCE"]


def test_a_node_without_etcd_has_none_to_restart() -> None:
    assert codes(of_node(SPEC, world(), "arc1", Wish(etcd=True))) == ["NO_ETCD"]


def test_an_outage_is_said_beforehand() -> None:
    assert "nobody can write" in of_node(SPEC, world(), "db1", Wish(in_place=True)).notes[0]


# stop, start, maintenance


def test_what_is_stopped_and_in_which_order() -> None:
    assert units(SPEC, "db2") == ("patroni.service",)
    assert units(SPEC, "arc1") == ("nginx.service", "orthanc.service")
    assert units(SPEC, "wit1") == (
        "prometheus-alertmanager.service", "prometheus.service", "etcd.service",
    )  # fmt: skip


@pytest.mark.parametrize("node", ["db2", "arc1", "arc2", "wit1"])
def test_a_node_that_nobody_misses_may_be_stopped_or_left_alone(node: str) -> None:
    assert not may_stop(SPEC, world(), node).vetoes
    assert not may_maintain(SPEC, world(), node).vetoes


@pytest.mark.parametrize(
    ("node", "view", "code"),
    [
        ("db2", blind, "ETCD_UNKNOWN"),
        ("db1", world, "IS_PRIMARY"),
        ("db2", lambda: world(dcs=(INCIDENT,)), "INCIDENT_OPEN"),
        ("db2", lambda: world(dcs=(PAUSED,)), "PAUSED"),
        ("db2", lambda: world(dcs=(fenced("db2"),)), "FENCED"),
        ("db2", lambda: world(dcs=(ordered("db2", "restart"),)), "ORDER_AT_WORK"),
        ("db2", lambda: world(dcs=(agent_silent("db2"),)), "AGENT_SILENT"),
        ("db2", lambda: world(dcs=(maintained("arc1"),)), "OTHER_IN_MAINTENANCE"),
        ("db2", lambda: world(dcs=(maintained("db2", stopped=True), DOWN)), "ALREADY_STOPPED"),
        ("db2", lambda: world(NOBODY), "PRIMARY_UNKNOWN"),
        ("wit1", lambda: world(etcd_lost("db2")), "ETCD_QUORUM"),
        ("arc1", lambda: world(archive_lost("arc2")), "NO_OTHER_ARCHIVE"),
    ],
)
def test_each_reason_not_to_stop_or_leave_alone(node: str, view: View, code: str) -> None:
    assert code in codes(may_stop(SPEC, view(), node))
    assert code in codes(may_maintain(SPEC, view(), node))


@pytest.mark.parametrize(
    ("node", "view", "code"),
    [
        ("db2", lambda: world(dcs=(patroni_paused,)), "PATRONI_PAUSED"),
        ("db2", lambda: world(dcs=(facts_of("db2", joining="pg_rewind"),)), "JOINING"),
        ("wit1", lambda: world(dcs=(keys_with(standing_by=()),)), "NO_OTHER_CONTROLLER"),
        ("db1", lambda: world(host_lost("db2")), "NO_OTHER_DATABASE"),
    ],
)
def test_more_reasons_not_to_stop(node: str, view: View, code: str) -> None:
    assert code in codes(may_stop(SPEC, view(), node))


def test_what_a_drain_gives_away_is_no_reason_against_it() -> None:
    assert not may_stop(SPEC, world(dcs=(facts_of("arc1", vips=("192.0.2.101",)),)), "arc1").vetoes
    alone = world(archive_lost("arc2"), dcs=(drained("arc1"),))
    assert not may_stop(SPEC, alone, "arc1").vetoes
    assert not may_maintain(SPEC, alone, "arc1").vetoes


def test_a_stop_that_did_not_get_through_may_be_tried_again() -> None:
    view = world(dcs=(maintained("db2", stopped=True),))
    assert not may_stop(SPEC, view, "db2").vetoes
    assert codes(may_maintain(SPEC, view, "db2")) == ["ALREADY_STOPPED"]


def test_a_node_in_maintenance_may_be_stopped_and_its_time_made_longer() -> None:
    view = world(dcs=(maintained("db2"),))
    assert not may_stop(SPEC, view, "db2").vetoes
    assert not may_maintain(SPEC, view, "db2").vetoes


@pytest.mark.parametrize(
    ("view", "found"),
    [
        (world, []),
        (lambda: world(dcs=(PAUSED, INCIDENT)), []),
        (blind, ["ETCD_UNKNOWN"]),
        (lambda: world(dcs=(fenced("db2"),)), ["FENCED"]),
        (lambda: world(dcs=(agent_silent("db2"),)), ["AGENT_SILENT"]),
        (lambda: world(dcs=(ordered("db2", "restart"),)), ["ORDER_AT_WORK"]),
        (lambda: world(dcs=(patroni_paused,)), ["PATRONI_PAUSED"]),
    ],
)
def test_little_speaks_against_a_start(view: View, found: list[str]) -> None:
    assert codes(may_start(SPEC, view(), "db2")) == found


def test_a_maintenance_of_its_own_outlives_a_start() -> None:
    assert "stays in maintenance" in may_start(SPEC, world(dcs=(maintained("db2"),)), "db2").notes[0]
    assert not may_start(SPEC, world(dcs=(maintained("db2", stopped=True),)), "db2").notes


def test_only_what_began_ends() -> None:
    assert codes(may_end(world(), "db2")) == ["NO_MAINTENANCE"]
    assert codes(may_end(blind(), "db2")) == ["ETCD_UNKNOWN"]
    assert may_end(world(dcs=(maintained("db2"),)), "db2").ok
    assert "started again" in may_end(world(dcs=(maintained("db2", stopped=True),)), "db2").notes[0]


# rejoin, reinit


def test_a_standby_that_does_not_stream_may_rejoin_and_be_copied() -> None:
    view = world(IDLE, dcs=(sync(),))
    assert may_rejoin(view, "db2").ok
    assert may_reinit(SPEC, view, "db2", force=False).ok


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (blind, "ETCD_UNKNOWN"),
        (lambda: world(IDLE, dcs=(INCIDENT,)), "INCIDENT_OPEN"),
        (lambda: world(IDLE, dcs=(PAUSED,)), "PAUSED"),
        (lambda: world(IDLE, dcs=(fenced("db2"),)), "FENCED"),
        (lambda: world(IDLE, dcs=(ordered("db2", "restart"),)), "ORDER_AT_WORK"),
        (lambda: world(IDLE, dcs=(patroni_paused,)), "PATRONI_PAUSED"),
        (lambda: world(IDLE, dcs=(facts_of("db2", joining="pg_rewind"),)), "JOINING"),
        (lambda: world(IDLE, dcs=(maintained("db2", stopped=True),)), "STOPPED"),
        (lambda: world(patroni_says("db2", primary("db2"))), "IS_PRIMARY"),
        (lambda: world(IDLE, dcs=(led_by(None),)), "NO_PRIMARY"),
        (lambda: world(IDLE, dcs=(agent_silent("db2"),)), "AGENT_SILENT"),
        (lambda: world(IDLE, dcs=(facts_of("db2", peers={}),)), "PRIMARY_OUT_OF_REACH"),
        (lambda: world(IDLE, dcs=(full("db2", 0.99),)), "DISK_FULL"),
    ],
)
def test_each_reason_not_to_join_again(view: View, code: str) -> None:
    assert code in codes(may_rejoin(view(), "db2"))
    assert code in codes(may_reinit(SPEC, view(), "db2", force=True))


def test_who_streams_needs_no_rejoin() -> None:
    assert codes(may_rejoin(world(), "db2")) == ["STREAMS"]


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (lambda: world(IDLE), "LAST_COPY"),
        (lambda: world(IDLE, dcs=(sync(), postgres_of("db1", writable=False))), "LAST_COPY"),
        (lambda: world(IDLE, dcs=(sync(), fenced("db1"))), "LAST_COPY"),
        (lambda: world(IDLE, patroni_lost("db1"), dcs=(sync(),)), "LAST_COPY"),
        (lambda: world(patroni_lost("db2"), dcs=(sync(),)), "UNKNOWN"),
        (lambda: world(patroni_says("db2", standby("db2", timeline=4, replication_state="")), dcs=(sync(),)),
         "NEWER_TIMELINE"),
    ],
)  # fmt: skip
def test_the_last_good_copy_stays_whatever_is_said(view: View, code: str) -> None:
    assert code in codes(may_reinit(SPEC, view(), "db2", force=False))
    assert code in codes(may_reinit(SPEC, view(), "db2", force=True))


def test_a_synchronous_standby_that_streams_goes_by_force_only() -> None:
    assert codes(may_reinit(SPEC, world(), "db2", force=False)) == ["LAST_COPY"]
    assert may_reinit(SPEC, world(), "db2", force=True).ok
    elsewhere = world(patroni_says("db2", standby("db2", timeline=2)))
    assert codes(may_reinit(SPEC, elsewhere, "db2", force=True)) == ["LAST_COPY"]


def test_one_unit_is_asked_of_the_agent_and_hactls_own_over_ssh() -> None:
    found = of_node(SPEC, world(), "db1", Wish(unit="keepalived.service"))
    assert (found.steps, found.vetoes) == ((RestartUnit("db1", "keepalived.service"),), ())
    assert "sessions end" in found.notes[0]
    blind_agent = world(dcs=(lambda d: dataclasses.replace(d, facts={}),))
    assert codes(of_node(SPEC, blind_agent, "db1", Wish(unit="keepalived.service"))) == ["AGENT_SILENT"]
    assert not of_node(SPEC, blind_agent, "db1", Wish(unit="hactl-agent.service")).vetoes
