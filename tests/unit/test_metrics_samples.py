from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from hactl.decide.codes import finding
from hactl.metrics.certificates import NodeCertificates
from hactl.metrics.collector import ClusterCollector
from hactl.metrics.instruments import Instruments
from hactl.metrics.registry import METRICS, Kind, Source
from hactl.metrics.samples import STALE_AFTER, samples
from hactl.metrics.snapshot import Board, Snapshot, Totals
from hactl.metrics.text import Text
from hactl.units import Lsn
from hactl.view.model import Unknown
from tests.support.pki import initialised, small_spec
from tests.support.snapshots import NOW, control, dcs, failover, fence, snapshot
from tests.support.views import (
    Change,
    after,
    agent,
    archive_lost,
    demo_spec,
    patroni_lost,
    patroni_says,
    standby,
    vip,
)

SPEC = demo_spec()


def values(given: Snapshot | None, now: float = NOW) -> dict[tuple[str, ...], float]:
    return {(s.name, *s.labels): s.value for s in samples(SPEC, given, now)}


def seen(*changes: Change) -> dict[tuple[str, ...], float]:
    return values(snapshot(view=after(*changes)))


def names(given: dict[tuple[str, ...], float]) -> set[str]:
    return {key[0] for key in given}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (("hactl_node_up", "arc2"), 1),
        (("hactl_database_role", "db1", "primary"), 1),
        (("hactl_database_role", "db1", "standby"), 0),
        (("hactl_database_leader", "db2"), 0),
        (("hactl_database_timeline", "db2"), 3),
        (("hactl_database_lag_bytes", "db2"), 0),
        (("hactl_database_lag_seconds", "db2"), 0),
        (("hactl_database_sync", "db2"), 1),
        (("hactl_vip_held", "database", "db1"), 1),
        (("hactl_vip_held", "database", "db2"), 0),
        (("hactl_vip_answers", "archive"), 1),
        (("hactl_lease_mode", "db2", "open"), 1),
        (("hactl_lease_remaining_seconds", "db1"), 2.4),
        (("hactl_fence_standing", "db1"), 0),
        (("hactl_fences_total", "db1"), 3),
        (("hactl_failovers_total", "primary lost"), 2),
        (("hactl_recovery_budget_used", "db2", "restart"), 2),
        (("hactl_etcd_leader", "wit1"), 1),
        (("hactl_etcd_quorum",), 1),
        (("hactl_archive_level", "arc1", "L2"), 1),
        (("hactl_archive_serves", "arc1"), 1),
        (("hactl_archive_state", "arc1", "healthy"), 1),
        (("hactl_archive_state", "arc1", "failed"), 0),
        (("hactl_health_findings", "error"), 0),
        (("hactl_paused",), 0),
        (("hactl_incident_open",), 0),
        (("hactl_disk_free_bytes", "wit1", "/"), 500 * 2**20),
        (("hactl_unit_running", "db1", "keepalived.service"), 1),
        (("hactl_heartbeat_seconds",), 0.012),
        (("hactl_journal_head",), 41),
        (("hactl_controller_active",), 1),
        (("hactl_controller_look_age_seconds",), pytest.approx(0.2)),
    ],
)
def test_a_healthy_installation(key: tuple[str, ...], value: float) -> None:
    assert values(snapshot())[key] == value


def test_every_metric_is_emitted_and_every_sample_has_its_labels() -> None:
    full = snapshot(
        last_failover=failover(),
        findings=(finding("STANDBY_LOST", "db2"),),
        muted=(finding("NODE_UNREACHABLE", "db2"),),
        totals=Totals({"primary lost": 1}, {"db1": 1}, {("restart", "done"): 1}),
        archive_breakers={"arc1": 1},
    )
    emitted = list(samples(SPEC, full, NOW))
    histograms = {name for name, m in METRICS.items() if m.kind is Kind.HISTOGRAM}
    assert {s.name for s in emitted} == set(METRICS) - histograms - {
        "hactl_build_info",
        "hactl_certificate_end_timestamp_seconds",  # the collector's own
    }
    for sample in emitted:
        assert len(sample.labels) == len(METRICS[sample.name].labels)
    keys = [(s.name, s.labels) for s in emitted]
    assert len(keys) == len(set(keys))


def test_what_is_unknown_has_no_sample() -> None:
    found = seen(patroni_lost("db2"), vip("database", Unknown("late")))
    assert found["hactl_database_role", "db2", "unknown"] == 1
    assert ("hactl_database_timeline", "db2") not in found
    assert ("hactl_database_sync", "db2") not in found
    assert ("hactl_vip_answers", "database") not in found
    assert ("hactl_archive_level", "arc1", "L4") not in found
    assert found["hactl_vip_held", "database", "db1"] == 1  # as its agent says


def test_without_agents_whoever_answers_holds_the_vip() -> None:
    found = values(snapshot(control=control(dcs=dcs(facts={}))))
    assert found["hactl_vip_held", "database", "db1"] == 1
    assert found["hactl_vip_held", "database", "db2"] == 0
    assert found["hactl_agent_up", "db1"] == 0


def test_two_holders_are_seen() -> None:
    both = {n: agent(n, vips=("192.0.2.100",)) for n in ("db1", "db2")}
    found = values(snapshot(control=control(dcs=dcs(facts=both))))
    assert found["hactl_vip_held", "database", "db1"] == found["hactl_vip_held", "database", "db2"] == 1


def test_nobody_at_the_vip_and_an_archive_lost() -> None:
    found = seen(vip("archive", None), archive_lost("arc1"))
    assert found["hactl_vip_answers", "archive"] == 0
    assert found["hactl_archive_level", "arc1", "L0"] == 0
    assert found["hactl_archive_serves", "arc1"] == 0


def test_lag_in_seconds_is_the_age_of_the_last_replayed_commit() -> None:
    behind = standby("db2", lsn=Lsn(0x2000000), replayed_at=after().at - 4)
    found = seen(patroni_says("db2", behind))
    assert found["hactl_database_lag_bytes", "db2"] == 0x1000000
    assert found["hactl_database_lag_seconds", "db2"] == pytest.approx(4)


def test_a_fence_stands() -> None:
    fenced = control(dcs=dcs(fences={"db1": fence("db1")}))
    assert values(snapshot(control=fenced))["hactl_fence_standing", "db1"] == 1


def test_a_controller_that_stands_by_says_nothing_of_the_cluster() -> None:
    found = values(snapshot(holding=False))
    assert {METRICS[name].source for name in names(found)} == {Source.PROCESS}
    assert found["hactl_controller_active",] == 0
    assert found["hactl_failovers_total", "primary lost"] == 2  # its own copy of the journal


def test_a_controller_that_has_not_looked_yet() -> None:
    assert values(None) == {("hactl_controller_active",): 0}


def test_a_thawed_controller_does_not_show_what_it_saw_before() -> None:
    found = values(snapshot(), NOW + STALE_AFTER + 0.1)
    assert {METRICS[name].source for name in names(found)} == {Source.PROCESS}
    assert found["hactl_controller_active",] == 0


def test_a_stuck_slow_look_is_left_out_and_the_fast_one_shown() -> None:
    found = values(snapshot(view_at=NOW - STALE_AFTER - 1, findings=(finding("STANDBY_LOST"),)))
    assert "hactl_node_up" not in names(found)
    assert "hactl_health" not in names(found)
    assert "hactl_lease_mode" in names(found)


def test_etcd_without_answer_leaves_out_what_it_would_have_told() -> None:
    found = values(snapshot(control=control(dcs=Unknown("no quorum"))))
    assert names(found).isdisjoint({"hactl_lease_mode", "hactl_agent_up", "hactl_failovers_recent"})
    assert "hactl_node_up" in names(found)


def test_findings_of_one_subject_are_one_series() -> None:
    found = values(snapshot(findings=(
        finding("SOURCE_UNKNOWN", "arc1", "level L1"), finding("SOURCE_UNKNOWN", "arc1", "level L2"),
    )))  # fmt: skip
    assert found["hactl_health", "SOURCE_UNKNOWN", "warning", "arc1"] == 1
    assert found["hactl_health_findings", "warning"] == 1


@pytest.mark.parametrize("other", ["wit1", "db2"], ids=["one clock", "another controller finished it"])
def test_phases_of_the_last_failover(other: str) -> None:
    found = values(snapshot(last_failover=failover(other=other)))
    assert found["hactl_failover_last_phase_seconds", "suspected"] == 0
    assert found["hactl_failover_last_phase_seconds", "proof"] == pytest.approx(0.8)
    assert found["hactl_failover_last_phase_seconds", "first-commit"] == pytest.approx(2.1)
    assert ("hactl_failover_last_phase_seconds", "primed") not in found


def _read(exposition: str) -> dict[str, Metric]:
    """As the client library's own parser understands it."""
    return {family.name: family for family in text_string_to_metric_families(exposition)}


@pytest.mark.parametrize("openmetrics", [False, True], ids=["text", "OpenMetrics"])
def test_both_formats_say_what_the_samples_say(*, openmetrics: bool) -> None:
    odd = ("hactl_hea\\lth", 'with "quotes"', "and\na line")
    rows = [*((s.name, s.labels, s.value) for s in samples(SPEC, snapshot(), NOW)), ("hactl_health", odd, 1)]
    said = Text().of(rows, openmetrics=openmetrics)
    read = openmetrics_families(said + "# EOF\n") if openmetrics else text_string_to_metric_families(said)
    found = {(s.name, frozenset(s.labels.items())): s.value for family in read for s in family.samples}
    named = ((name, frozenset(zip(METRICS[name].labels, labels, strict=True))) for name, labels, _ in rows)
    assert found == {key: float(value) for key, (_, _, value) in zip(named, rows, strict=True)}


def test_families_are_typed_and_named_as_the_registry_says() -> None:
    board = Board({"fast": 5.0}, monotonic=lambda: NOW)
    board.publish(snapshot())
    families = _read(Text().of(ClusterCollector(board, SPEC).rows(), openmetrics=False))
    assert families["hactl_failovers"].type == "counter"  # the client adds _total
    assert families["hactl_build_info"].type == "gauge"
    for name, family in families.items():
        full = name if name in METRICS else f"{name}_total"
        assert (family.type, family.documentation) == (METRICS[full].kind.value, METRICS[full].help)


def test_instruments_count_what_they_are_told() -> None:
    tools = Instruments()
    tools.probe("patroni-rest", "db1", 0.004)
    tools.tick("fast", 0.02)
    get = tools.registry.get_sample_value
    assert get("hactl_probe_duration_seconds_count", {"path": "patroni-rest", "node": "db1"}) == 1
    assert (
        get("hactl_probe_duration_seconds_bucket", {"path": "patroni-rest", "node": "db1", "le": "0.005"})
        == 1
    )
    assert get("hactl_tick_duration_seconds_sum", {"loop": "fast"}) == pytest.approx(0.02)


def test_a_loop_without_progress_is_named() -> None:
    now = [0.0]
    board = Board({"fast": 5.0, "tick": 15.0}, monotonic=lambda: now[0])
    now[0] = 5.5
    assert board.stuck() == ("loop fast: no progress for 5.5 s",)
    board.beat("fast")
    assert board.stuck() == ()
    with pytest.raises(KeyError):
        board.beat("unheard of")


def test_archive_agents_that_were_not_read_yet_are_not_said_to_be_silent() -> None:
    known = values(snapshot())
    unknown = values(snapshot(control=control(dcs=dcs(archives_known=False, facts={}))))
    assert known["hactl_agent_up", "arc1"] == 1
    assert ("hactl_agent_up", "arc1") not in unknown
    assert unknown["hactl_agent_up", "db1"] == 0


def test_paused_by_hactl_or_patroni() -> None:
    assert values(snapshot(control=control(dcs=dcs(paused=True))))["hactl_paused",] == 1
    blind = dataclasses.replace(snapshot(), view=None, control=control(dcs=Unknown("late")))
    assert "hactl_paused" not in names(values(blind))


def test_the_ends_of_the_node_s_certificates(tmp_path: Path) -> None:
    store = initialised(tmp_path, small_spec())
    folder = store.state / "certs" / "wit1"
    (folder / "broken.crt").write_text("no certificate")
    found = NodeCertificates(folder)
    first = found.ends()
    assert {"hactl", "metrics", "etcd-peer"} <= set(first)
    assert "broken" not in first
    store.renew(small_spec(), uses=["metrics"], force=True)
    again = found.ends()
    assert again["metrics"] >= first["metrics"]
    assert again["hactl"] == first["hactl"]
    (folder / "metrics.crt").unlink()
    assert "metrics" not in found.ends()


def test_the_collector_shows_them(tmp_path: Path) -> None:
    store = initialised(tmp_path, small_spec())
    collector = ClusterCollector(Board({}), SPEC, NodeCertificates(store.state / "certs" / "wit1"))
    families = _read(Text().of(collector.rows(), openmetrics=False))
    found = families["hactl_certificate_end_timestamp_seconds"].samples
    assert {"use": "metrics"} in [s.labels for s in found]


def test_series_that_are_gone_are_forgotten() -> None:
    found, many = Text(), [("hactl_agent_up", (f"arc{n}",), 1.0) for n in range(100)]
    assert found.of(many, openmetrics=False).count('hactl_agent_up{node="arc') == 100
    assert found.of(many[:60], openmetrics=False).count("\n") == 62
    assert len(found._known["hactl_agent_up"]) == 100
    found.of(many[:10], openmetrics=False)
    assert found._known["hactl_agent_up"] == {}
    assert 'node="arc9"} 1.0\n' in found.of(many[:10], openmetrics=False)
    found.of([("hactl_paused", (), 0.0)], openmetrics=False)
    assert found._known == {"hactl_agent_up": {}, "hactl_paused": {(): "hactl_paused "}}
