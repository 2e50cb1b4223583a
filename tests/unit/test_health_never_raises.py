"""Properties: whatever is observed, there is a verdict; and it never claims more than was seen."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hactl.cli.status_data import document
from hactl.decide.codes import Severity
from hactl.decide.health import Health, judge
from hactl.decide.preconditions import examine
from hactl.units import Bytes, Lsn
from hactl.view.cluster import ClusterView, EtcdView
from hactl.view.model import (
    ArchiveView,
    CertState,
    CertView,
    ClusterMember,
    DbRole,
    Disk,
    EtcdMember,
    EtcdStatus,
    NodeFacts,
    PatroniCluster,
    PatroniSelf,
    PatroniView,
    Probe,
    State,
    Unknown,
    VipView,
)
from hactl.view.preflight import ArpLook, NodePreflight, Reach, Reached, ServerLook, Slot, Upgrades
from hactl.view.setting import Setting
from tests.support.views import demo_spec, healthy, look

SPEC = demo_spec()
names = st.sampled_from([*SPEC.nodes, "stranger", ""])
unknown = st.builds(Unknown, st.text(max_size=8))
ids = st.sampled_from(["", "0", "11", "12", "13"])
lsns = st.none() | st.builds(Lsn, st.integers(0, 2**64 - 1))
sizes = st.builds(Bytes, st.integers(0, 2**62))
timelines = st.none() | st.integers(0, 9)
states = st.sampled_from(["running", "streaming", "starting", "stopped", "crashed", "unknown", ""])
probes = st.builds(Probe, st.sampled_from(State), st.text(max_size=5))
selves = st.builds(
    PatroniSelf, names, st.sampled_from(DbRole), states, timelines, lsns, st.booleans(), states,
    st.just(()), st.booleans(), st.booleans(),
)  # fmt: skip
members = st.builds(
    ClusterMember, names, st.sampled_from(DbRole), states, st.booleans(), st.booleans(), timelines,
    st.none() | sizes,
)  # fmt: skip
clusters = st.builds(PatroniCluster, st.lists(members, max_size=3).map(tuple), st.booleans())
configs = st.dictionaries(
    st.sampled_from(["ttl", "postgresql"]), st.none() | st.integers() | st.just({"use_pg_rewind": True})
)
patronis = st.builds(PatroniView, unknown | selves, unknown | clusters, unknown | configs)
etcds = st.builds(
    EtcdView,
    unknown
    | st.builds(EtcdStatus, ids, ids, st.just("3.4"), sizes, st.lists(st.text(max_size=4)).map(tuple)),
    unknown | st.lists(st.builds(EtcdMember, ids, names, st.booleans()), max_size=4).map(tuple),
    unknown | st.builds(look, st.none() | names, st.lists(names, max_size=2).map(tuple)),
)
archives = st.builds(
    ArchiveView,
    st.dictionaries(st.sampled_from(["L0", "L1", "L2", "L3", "L4"]), probes),
    unknown | st.just("1"),
)
vips = st.builds(VipView, st.just("192.0.2.100"), st.none() | names | unknown)
facts = st.builds(
    NodeFacts,
    st.lists(st.sampled_from(["192.0.2.100", "192.0.2.101", "::1"])).map(tuple),
    st.dictionaries(st.just("etcd.service"), states),
    st.lists(st.builds(Disk, st.just("/"), sizes, sizes), max_size=2).map(tuple),
    st.none() | st.floats(-1e9, 1e9),
    st.dictionaries(st.sampled_from(["hactl", "patroni"]), st.text(max_size=3)),
)
certificates = st.lists(st.builds(CertView, names, st.just("etcd-peer"), st.sampled_from(CertState))).map(
    tuple
)
macs = st.sampled_from(["", "02:00:00:00:00:01", "02:00:00:00:00:02"])
patterns = st.lists(st.sampled_from(["etcd", "(", ""])).map(tuple)
preflights = st.builds(
    NodePreflight,
    reach=st.lists(
        st.builds(
            Reach, names | st.just("database"), st.sampled_from([2379, 5432, 8008, 443, 9465]), st.just("x"),
            st.sampled_from(Reached), st.booleans(),
        ), max_size=3,
    ).map(tuple),
    arp=st.lists(
        st.builds(
            ArpLook, st.sampled_from(["database", "archive"]), st.just("192.0.2.100"), st.just("host0"), macs,
            st.booleans(), st.lists(macs, max_size=2).map(tuple), st.lists(macs, max_size=2).map(tuple), macs,
            st.lists(st.just("eth1"), max_size=1).map(tuple),
            st.dictionaries(st.sampled_from(["arp_ignore", "drop_gratuitous_arp"]), st.integers(0, 8)),
            st.sampled_from(["", "no"]),
        ), max_size=2,
    ).map(tuple),
    upgrades=unknown | st.builds(Upgrades, st.booleans(), patterns, st.booleans(), st.booleans(), patterns),
    kernel=st.dictionaries(st.just("sets with timeouts in nftables"), st.sampled_from(["", "no"])),
    watchdog=st.none() | st.booleans(),
    backup_age=st.none() | unknown | st.floats(0, 1e9),
)  # fmt: skip
settings = st.dictionaries(
    st.sampled_from(["max_slot_wal_keep_size", "wal_log_hints", "full_page_writes"]),
    st.builds(
        Setting,
        st.just("x"),
        st.just("string"),
        st.sampled_from(["on", "off", "-1", "8192", ""]),
        st.just(""),
    ),
)
servers = st.builds(
    ServerLook, settings, unknown | st.just(""), st.none() | st.integers(0, 1 << 40),
    st.lists(st.builds(Slot, names, st.booleans(), st.none() | st.integers(-9, 1 << 40))).map(tuple),
)  # fmt: skip
views = st.builds(
    ClusterView,
    preflight=st.dictionaries(names, unknown | preflights),
    servers=st.dictionaries(names, unknown | servers),
    files=st.dictionaries(names, unknown | st.lists(st.just("/x missing"), max_size=5).map(tuple)),
    at=st.floats(0, 4e9),
    took=st.floats(0, 9),
    nodes=st.dictionaries(names, probes),
    patroni=st.dictionaries(names, patronis),
    etcd=st.dictionaries(names, etcds),
    archives=st.dictionaries(names, archives),
    vips=st.dictionaries(st.sampled_from(["database", "archive"]), vips),
    facts=st.dictionaries(names, unknown | facts),
    certificates=unknown | certificates,
)


@given(views)
def test_every_view_has_a_verdict_that_fits_its_worst_finding(view: ClusterView) -> None:
    verdict = judge(SPEC, view)
    worst = max((f.severity for f in verdict.findings), key=lambda s: s.rank, default=Severity.OK)
    expected = {Severity.ERROR: Health.FAILED, Severity.WARNING: Health.DEGRADED}
    assert verdict.health is expected.get(worst, Health.HEALTHY)


@given(views)
def test_the_doctor_finds_at_least_what_status_finds(view: ClusterView) -> None:
    health = set(judge(SPEC, view).findings)
    assert health <= set(examine(SPEC, view, {"ttl": 20}).findings)


@given(views)
def test_every_view_can_be_printed(view: ClusterView) -> None:
    data = document(SPEC, view, judge(SPEC, view))
    assert data["verdict"] in {"healthy", "degraded", "failed"}


one_patroni = st.dictionaries(st.sampled_from(list(SPEC.databases)), patronis, max_size=1)
one_vip = st.dictionaries(st.sampled_from(["database", "archive"]), vips, max_size=1)


@given(one_patroni, one_vip)
def test_a_healthy_verdict_needs_a_writable_primary_and_both_virtual_ips(
    patroni: dict[str, PatroniView], vip: dict[str, VipView]
) -> None:
    """A healthy installation with a piece replaced: a view made of chance alone is never healthy."""
    well = healthy()
    view = replace(well, patroni={**well.patroni, **patroni}, vips={**well.vips, **vip})
    answers = [p.itself for p in view.patroni.values() if isinstance(p.itself, PatroniSelf)]
    held = [v.holder for v in view.vips.values() if isinstance(v.holder, str)]
    if sum(a.serves_writes for a in answers) != 1 or len(held) != 2:
        assert judge(SPEC, view).health is not Health.HEALTHY
