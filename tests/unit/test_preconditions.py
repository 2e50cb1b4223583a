from __future__ import annotations

import dataclasses

import pytest

from hactl.decide.health import Health
from hactl.decide.preconditions import examine
from hactl.render.patroni import dynamic
from hactl.units import Bytes
from hactl.view.model import CertState, Disk, Unknown
from tests.support.views import (
    Change,
    after,
    backed_up,
    certificate,
    config,
    demo_spec,
    facts,
    host_lost,
    vip,
)

SPEC = backed_up(demo_spec())
WANTED = dynamic(SPEC)
DRIFTED = {**WANTED, "ttl": 30}
NO_HINTS = {**WANTED, "postgresql": {"use_pg_rewind": True, "parameters": {"wal_log_hints": "off"}}}
NO_REWIND = {**WANTED, "postgresql": {}}

ROWS = [
    pytest.param([], set(), id="all is well"),
    pytest.param([config(WANTED)], set(), id="the dynamic configuration is as rendered"),
    pytest.param(
        [facts("db2", addresses=("192.0.2.100",))], {"VIP_ON_TWO_NODES"}, id="both nodes have the virtual IP"
    ),
    pytest.param(
        [facts("db2", addresses=("192.0.2.1",))], set(), id="an address that only begins like the virtual IP"
    ),
    pytest.param([facts("wit1", units={"etcd.service": "failed"})], {"UNIT_NOT_RUNNING"}, id="a unit failed"),
    pytest.param(
        [facts("wit1", units={"etcd.service": "activating"})], set(), id="a unit that starts is given time"
    ),
    pytest.param(
        [facts("db1", units={"hactl-open.service": "inactive"})], set(), id="a unit that a timer starts rests"
    ),
    pytest.param(
        [facts("db1", units={"hactl-open.service": "failed"})], {"UNIT_NOT_RUNNING"}, id="and may not fail"
    ),
    pytest.param([facts("db1", clock_offset=-2.5)], {"CLOCK_SKEW"}, id="a clock is behind"),
    pytest.param(
        [facts("db1", clock_offset=1.4, clock_doubt=0.5)],
        set(),
        id="or the answer took its time: nobody knows",
    ),
    pytest.param(
        [facts("db1", clock_offset=1.6, clock_doubt=0.5)], {"CLOCK_SKEW"}, id="more than that explains"
    ),
    pytest.param([facts("db1", clock_offset=None)], set(), id="a clock that nobody read is not wrong"),
    pytest.param(
        [facts("db1", disks=(Disk("/", Bytes.mib(9), Bytes.mib(100)),))], {"DISK_NEARLY_FULL"}, id="9 % free"
    ),
    pytest.param(
        [facts("arc2", versions={"hactl": "0.2.0"})], {"VERSIONS_DIFFER"}, id="one node was updated"
    ),
    pytest.param(
        [certificate("db1", "etcd-peer", CertState.EXPIRING, "in 9 days")],
        {"CERT_EXPIRING"},
        id="9 days left",
    ),
    pytest.param(
        [certificate("db1", "postgres", CertState.EXPIRED)], {"CERT_EXPIRED"}, id="a certificate expired"
    ),
    pytest.param(
        [certificate("arc1", "nginx", CertState.UNFIT)], {"CERT_UNFIT"}, id="a certificate is missing"
    ),
    pytest.param([certificate("arc1", "nginx", CertState.OK)], set(), id="a good certificate"),
    pytest.param([config(DRIFTED)], {"CONFIG_DRIFT"}, id="somebody changed the ttl"),
    pytest.param([config(NO_HINTS)], {"CONFIG_DRIFT", "REWIND_IMPOSSIBLE"}, id="no hint bits, no rewind"),
    pytest.param([config(NO_REWIND)], {"CONFIG_DRIFT", "REWIND_IMPOSSIBLE"}, id="rewind is switched off"),
]


@pytest.mark.parametrize(("changes", "codes"), ROWS)
def test_findings(changes: list[Change], codes: set[str]) -> None:
    assert {f.code.name for f in examine(SPEC, after(*changes), WANTED).findings} == codes


def test_on_a_node_the_facts_are_not_asked_for_and_that_is_no_warning() -> None:
    verdict = examine(SPEC, dataclasses.replace(after(), facts={}), WANTED)
    assert [f.code.name for f in verdict.findings] == ["FACTS_NOT_ASKED"]
    assert verdict.health is Health.HEALTHY


def test_a_lost_host_is_not_asked_for_its_facts_as_well() -> None:
    found = {f.code.name for f in examine(SPEC, after(host_lost("db2")), WANTED).findings}
    assert "FACTS_UNKNOWN" not in found


def test_a_node_that_is_up_and_does_not_tell_its_facts_is_a_finding() -> None:
    silent = dataclasses.replace(after(), facts={"db2": Unknown("refuses hactl's key")})
    found = examine(SPEC, silent, WANTED).findings
    assert [(f.code.name, f.subject, f.detail) for f in found] == [
        ("FACTS_UNKNOWN", "db2", "refuses hactl's key")
    ]


def test_drift_names_each_setting_with_both_values() -> None:
    parameters = {**WANTED["postgresql"]["parameters"], "wal_sender_timeout": "60s"}
    drifted = {**DRIFTED, "postgresql": {**WANTED["postgresql"], "parameters": parameters}}
    (found,) = examine(SPEC, after(config(drifted)), WANTED).findings
    assert found.detail == ("wal_sender_timeout is 60s, wanted 2s, ttl is 30, wanted 20")


def test_certificates_are_judged_even_when_no_node_answers() -> None:
    lost = [host_lost(n) for n in SPEC.nodes]
    view = after(
        *lost, vip("database", None), vip("archive", None), certificate("db1", "nginx", CertState.EXPIRED)
    )
    found = [f.code.name for f in examine(SPEC, view, WANTED).findings]
    assert found == ["ALL_NODES_UNREACHABLE", "CERT_EXPIRED"]


def test_what_patroni_goes_by_is_said_where_it_differs() -> None:
    (found,) = examine(SPEC, after(config({**WANTED, "ttl": 10})), WANTED).findings
    assert found.detail == "ttl is 10, wanted 20 (Patroni goes by 20: the least is 20)"


def test_other_words_for_the_same_are_no_drift() -> None:
    parameters = {**WANTED["postgresql"]["parameters"], "hot_standby": True}
    other = {**WANTED, "postgresql": {**WANTED["postgresql"], "parameters": parameters}}
    assert examine(SPEC, after(config(other)), WANTED).findings == ()
