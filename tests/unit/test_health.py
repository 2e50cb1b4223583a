from __future__ import annotations

import pytest

from hactl.decide.codes import CODES, Severity
from hactl.decide.health import Health, judge
from hactl.units import Lsn
from hactl.view.model import DbRole, Probe, State, Unknown
from tests.support.views import (
    LOST,
    Change,
    after,
    archive,
    archive_lost,
    demo_spec,
    etcd_leader_on,
    etcd_lost,
    etcd_says,
    etcd_without_quorum,
    host_lost,
    keys,
    node_unreachable,
    patroni_lost,
    patroni_says,
    paused,
    primary,
    standby,
    vip,
)

SPEC = demo_spec()
HEALTHY, DEGRADED, FAILED = Health.HEALTHY, Health.DEGRADED, Health.FAILED
ALL_LOST = [host_lost(n) for n in SPEC.nodes]
INDEX_LOST = Probe(State.FAILED, "no answer in time")
REFUSED = Probe(State.UNKNOWN, "refuses hactl's certificate")
FOREIGN = Unknown("its certificate is not trusted", untrusted=True)
STARTING = primary("db1", role=DbRole.UNKNOWN, state="starting")

ROWS = [
    pytest.param([], HEALTHY, set(), id="nothing is wrong"),
    pytest.param(
        [host_lost("db2")],
        DEGRADED,
        {"NODE_UNREACHABLE", "STANDBY_LOST", "ETCD_MEMBER_DOWN"},
        id="the standby's host is lost: one copy left, and two etcd members",
    ),
    pytest.param(
        [host_lost("db1"), vip("database", None)],
        FAILED,
        {"PRIMARY_UNREACHABLE", "VIP_NOT_HELD", "NODE_UNREACHABLE", "ETCD_MEMBER_DOWN"},
        id="the primary's host is lost and its leader key still lives",
    ),
    pytest.param(
        [host_lost("db1"), vip("database", None), keys(leader=None)],
        FAILED,
        {"NO_PRIMARY", "VIP_NOT_HELD", "NODE_UNREACHABLE", "ETCD_MEMBER_DOWN"},
        id="the leader key has expired and nobody is promoted yet",
    ),
    pytest.param(
        [
            host_lost("db1"),
            patroni_says("db2", primary("db2", streams_to=())),
            keys(leader="db2"),
            vip("database", "db2"),
        ],
        DEGRADED,
        {"STANDBY_LOST", "NODE_UNREACHABLE", "ETCD_MEMBER_DOWN"},
        id="the standby took over: it runs with one copy",
    ),
    pytest.param(
        [host_lost("wit1")],
        DEGRADED,
        {"NODE_UNREACHABLE", "ETCD_MEMBER_DOWN"},
        id="the witness is lost: the service goes on",
    ),
    pytest.param(
        [host_lost("arc1"), vip("archive", "arc2")],
        DEGRADED,
        {"NODE_UNREACHABLE", "ARCHIVE_NODE_DOWN"},
        id="an archive node is lost and the other holds the virtual IP",
    ),
    pytest.param(
        ALL_LOST, FAILED, {"NO_PRIMARY"}, id="the nodes are lost but their virtual IPs still answer"
    ),
    pytest.param(
        [*ALL_LOST, vip("database", None), vip("archive", None)],
        FAILED,
        {"ALL_NODES_UNREACHABLE"},
        id="nothing answers at all: our own network may be at fault, so nothing else is claimed",
    ),
    pytest.param(
        [patroni_says("db2", primary("db2"))], FAILED, {"TWO_PRIMARIES"}, id="two say they are primary"
    ),
    pytest.param(
        [patroni_says("db1", STARTING)], FAILED, {"NO_PRIMARY"}, id="the primary starts: nobody takes writes"
    ),
    pytest.param(
        [patroni_lost("db2")], DEGRADED, {"PATRONI_DOWN", "STANDBY_LOST"}, id="Patroni died, its host lives"
    ),
    pytest.param(
        [patroni_says("db2", standby("db2", replication_state=""))],
        DEGRADED,
        {"STANDBY_LOST"},
        id="a standby that runs but does not stream is none",
    ),
    pytest.param(
        [patroni_says("db2", standby("db2", lsn=Lsn(0x1000000)))],
        DEGRADED,
        {"STANDBY_LAGGING"},
        id="the standby is 32 MiB behind",
    ),
    pytest.param(
        [patroni_says("db2", standby("db2", lsn=Lsn(0x2FF0000)))], HEALTHY, set(), id="a little lag is normal"
    ),
    pytest.param([keys(sync_standbys=())], DEGRADED, {"SYNC_DEGRADED"}, id="nobody is synchronous"),
    pytest.param(
        [patroni_says("db2", standby("db2", timeline=2))],
        DEGRADED,
        {"STANDBY_ON_OLD_TIMELINE"},
        id="the standby has not followed to the new timeline",
    ),
    pytest.param([paused()], DEGRADED, {"PATRONI_PAUSED"}, id="Patroni's pause is a warning"),
    pytest.param([keys(paused=True)], DEGRADED, {"PAUSED"}, id="so is hactl's own"),
    pytest.param(
        [patroni_says("db2", standby("db2", pending_restart=True))],
        HEALTHY,
        {"PENDING_RESTART"},
        id="a pending restart is only information",
    ),
    pytest.param(
        [vip("database", "db2")], FAILED, {"VIP_WRONG_NODE"}, id="the database's virtual IP is on the standby"
    ),
    pytest.param(
        [vip("database", Unknown("connection refused"))],
        FAILED,
        {"VIP_NOT_HELD"},
        id="all Patronis are well but none answers at the virtual IP",
    ),
    pytest.param(
        [patroni_lost("db2"), vip("database", LOST)],
        DEGRADED,
        {"PATRONI_DOWN", "STANDBY_LOST", "SOURCE_UNKNOWN"},
        id="who holds the virtual IP is unknown while a Patroni is silent",
    ),
    pytest.param(
        [vip("archive", None)], FAILED, {"VIP_NOT_HELD"}, id="nobody holds the archive's virtual IP"
    ),
    pytest.param(
        [etcd_leader_on("db1")], HEALTHY, {"ETCD_LEADER_ON_PRIMARY"}, id="etcd's leader sits with the primary"
    ),
    pytest.param([etcd_leader_on("db2")], HEALTHY, set(), id="etcd's leader sits with the standby"),
    pytest.param([etcd_lost("db2")], DEGRADED, {"ETCD_MEMBER_DOWN"}, id="one etcd member is down"),
    pytest.param(
        [etcd_without_quorum("db1"), patroni_says("db1", standby("db1")), vip("database", None)],
        FAILED,
        {"NO_PRIMARY", "VIP_NOT_HELD", "ETCD_NO_QUORUM", "ETCD_MEMBER_DOWN"},
        id="etcd has lost its majority and the primary has demoted itself",
    ),
    pytest.param(
        [etcd_lost(n) for n in ("db1", "db2", "wit1")],
        DEGRADED,
        {"ETCD_MEMBER_DOWN", "SOURCE_UNKNOWN"},
        id="no etcd answers from here, yet the primary writes: the majority is unknown, not lost",
    ),
    pytest.param(
        [archive("arc1", L2=INDEX_LOST)],
        FAILED,
        {"ARCHIVE_INDEX_UNREACHABLE", "VIP_WRONG_NODE"},
        id="the virtual IP is on an archive node without index while another could serve",
    ),
    pytest.param(
        [archive("arc2", L1=INDEX_LOST, L2=INDEX_LOST)],
        DEGRADED,
        {"ARCHIVE_NOT_RESPONDING"},
        id="only the lowest failed level is told",
    ),
    pytest.param(
        [archive("arc1", L2=INDEX_LOST), archive("arc2", L2=INDEX_LOST)],
        FAILED,
        {"ALL_ARCHIVES_DOWN", "ARCHIVE_INDEX_UNREACHABLE"},
        id="no archive node reads its index: moving the virtual IP would not help",
    ),
    pytest.param(
        [archive("arc2", L1=REFUSED, L2=REFUSED)],
        DEGRADED,
        {"SOURCE_UNKNOWN"},
        id="an archive node that refuses hactl is unknown, not down",
    ),
    pytest.param([archive_lost("arc2")], DEGRADED, {"ARCHIVE_NODE_DOWN"}, id="Orthanc is down on one node"),
    pytest.param(
        [patroni_says("db2", FOREIGN), etcd_says("db2", FOREIGN)],
        DEGRADED,
        {"TLS_UNTRUSTED", "STANDBY_LOST"},
        id="a node with certificates of another CA is untrusted once, not down twice",
    ),
    pytest.param(
        [node_unreachable(n) for n in SPEC.nodes],
        DEGRADED,
        {"NODE_UNREACHABLE"},
        id="no SSH server answers, but all services do: it is not our network",
    ),
    pytest.param([node_unreachable("arc2")], DEGRADED, {"NODE_UNREACHABLE"}, id="only SSH is down"),
]


@pytest.mark.parametrize(("changes", "health", "codes"), ROWS)
def test_verdict(changes: list[Change], health: Health, codes: set[str]) -> None:
    verdict = judge(SPEC, after(*changes))
    found = {f.code.name for f in verdict.findings}
    assert verdict.health is health, found
    if codes == {"NO_PRIMARY"}:
        assert "NO_PRIMARY" in found
    else:
        assert found == codes


def test_findings_are_worst_first() -> None:
    verdict = judge(SPEC, after(host_lost("db1"), vip("database", None), etcd_leader_on("db2"), paused()))
    ranks = [f.severity.rank for f in verdict.findings]
    assert ranks == sorted(ranks, reverse=True)
    assert verdict.findings[0].code.name == "PRIMARY_UNREACHABLE"


def test_the_reason_of_an_unreachable_source_is_in_its_finding() -> None:
    found = judge(SPEC, after(etcd_lost("db2"))).findings
    assert [f.detail for f in found] == [LOST.why]


@pytest.mark.parametrize("code", CODES.values(), ids=lambda c: c.name)
def test_every_code_can_be_read_by_somebody_who_was_just_woken_up(code: object) -> None:
    from hactl.decide.codes import Code

    assert isinstance(code, Code)
    assert code.name.isupper()
    assert code.summary[0].islower() or code.summary.startswith(("Patroni", "SSH"))
    assert not code.summary.endswith(".")
    assert code.why.endswith(".")
    assert code.fix
    assert code.severity is not Severity.OK
