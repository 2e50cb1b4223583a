"""Builders of views: start from a healthy installation, change only what the test is about.

after(host_lost("db2"), paused())
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hactl.spec.load import load
from hactl.spec.model import Backup, ClusterSpec
from hactl.units import Bytes, Lsn
from hactl.view.archive import ArchiveMark, ArchiveState
from hactl.view.cluster import ClusterView, EtcdView
from hactl.view.control import AgentFacts, Dcs, Leader, Mode, PatroniKeys
from hactl.view.drill import LastDrill
from hactl.view.integrity import IntegrityFacts
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
from hactl.view.preflight import NodePreflight, ServerLook, Slot
from hactl.view.setting import Setting
from hactl.view.tls import TlsCheck

Change = Callable[[ClusterView], ClusterView]
LOST = Unknown("no connection within 1 s")
OK = Probe(State.OK)
DOWN = Probe(State.FAILED, "no connection within 1 s")
SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "cluster.yaml"
_IDS = {"db1": "11", "db2": "12", "wit1": "13"}


@functools.cache
def demo_spec() -> ClusterSpec:
    return load(SAMPLE.read_text(), str(SAMPLE))


def backed_up(spec: ClusterSpec) -> ClusterSpec:
    """With a stamp of the site's backup, so that none is missed."""
    backup = Backup(stamp="/var/backups/stamp")
    return spec.model_copy(update={"database": spec.database.model_copy(update={"backup": backup})})


def primary(name: str, **changes: Any) -> PatroniSelf:
    return dataclasses.replace(
        PatroniSelf(name, DbRole.PRIMARY, "running", timeline=3, lsn=Lsn(0x3000000), streams_to=("db2",)),
        **changes,
    )


def standby(name: str, **changes: Any) -> PatroniSelf:
    return dataclasses.replace(
        PatroniSelf(
            name, DbRole.STANDBY, "running", timeline=3, lsn=Lsn(0x3000000), sync=True,
            replication_state="streaming",
        ),
        **changes,
    )  # fmt: skip


_CLUSTER = PatroniCluster((
    ClusterMember("db1", DbRole.PRIMARY, "running", leader=True, timeline=3),
    ClusterMember("db2", DbRole.STANDBY, "streaming", sync=True, timeline=3, lag=Bytes(0)),
))  # fmt: skip


def agent(node: str, **changes: Any) -> AgentFacts:
    """What the agent of a healthy node publishes."""
    vips = {"db1": ("192.0.2.100",), "arc1": ("192.0.2.101",)}.get(node, ())
    lease = 2.4 if node.startswith("db") else None
    base = AgentFacts(
        node, "boot", 1, mode=Mode.LEASED if lease else None, lease_left=lease, vips=vips,
        disks=(Disk("/", Bytes.mib(500), Bytes.mib(1000)),), units={"keepalived.service": "active"},
    )  # fmt: skip
    if node.startswith("arc"):
        images = IntegrityFacts(objects=10, follows=1.0, scrub="done", scrubbed=3600.0, reconcile="done")
        base = dataclasses.replace(base, integrity=images)
    return dataclasses.replace(base, **changes)


def look(leader: str | None = "db1", sync_standbys: tuple[str, ...] = ("db2",), **changes: Any) -> Dcs:
    """The keys of a healthy installation; `changes` are hactl's own."""
    found = Leader(leader, 1, 50) if leader else None
    patroni = PatroniKeys(found, sync_leader=leader or "", sync_standbys=sync_standbys)
    base = Dcs(
        100, patroni, modes={"db1": Mode.LEASED, "db2": Mode.LEASED},
        facts={n: agent(n) for n in ("db1", "db2", "wit1", "arc1", "arc2")},
        active="wit1", standing_by=("db1", "db2"),
        archive_states={n: ArchiveMark(ArchiveState.HEALTHY) for n in ("arc1", "arc2")},
        drill=LastDrill(1_799_990_000.0, "primary/power-off", clean=True, outage=1.6),
        tls_check=TlsCheck(1_799_990_000.0, "wit1", 20, oldest=1_799_990_000.0),
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


_KEYS = look()
_MEMBERS = tuple(EtcdMember(i, n) for n, i in _IDS.items())


def _etcd(name: str, leader: str = "wit1") -> EtcdView:
    return EtcdView(EtcdStatus(_IDS[name], _IDS[leader], "3.4.23"), _MEMBERS, _KEYS)


def _archive() -> ArchiveView:
    later = Probe(State.UNKNOWN, "later")
    return ArchiveView({"L0": OK, "L1": OK, "L2": OK, "L3": later, "L4": later}, "1.10.1")


def _facts(name: str) -> NodeFacts:
    vip = {"db1": ("192.0.2.100",), "arc1": ("192.0.2.101",)}.get(name, ())
    return NodeFacts(
        addresses=("127.0.0.1", *vip),
        units={"etcd.service": "active"},
        disks=(Disk("/", Bytes.mib(500), Bytes.mib(1000)),),
        clock_offset=0.01,
        versions={"hactl": "0.1.0"},
    )


def healthy() -> ClusterView:
    """Primary db1, standby db2, etcd's leader on the witness, both virtual IPs where they belong."""
    nodes = ("db1", "db2", "wit1", "arc1", "arc2")
    return ClusterView(
        at=1_800_000_000.0,
        took=0.1,
        nodes=dict.fromkeys(nodes, OK),
        patroni={
            "db1": PatroniView(primary("db1"), _CLUSTER),
            "db2": PatroniView(standby("db2"), _CLUSTER),
        },
        etcd={name: _etcd(name) for name in _IDS},
        archives={"arc1": _archive(), "arc2": _archive()},
        vips={"database": VipView("192.0.2.100", "db1"), "archive": VipView("192.0.2.101", "arc1")},
        facts={name: _facts(name) for name in nodes},
        control=_KEYS,
    )


def after(*changes: Change) -> ClusterView:
    view = healthy()
    for change in changes:
        view = change(view)
    return view


def _with(view: ClusterView, field: str, key: str, value: object) -> ClusterView:
    return dataclasses.replace(view, **{field: {**getattr(view, field), key: value}})


def node_unreachable(name: str) -> Change:
    return lambda v: _with(v, "nodes", name, DOWN)


def patroni_says(name: str, said: PatroniSelf | Unknown) -> Change:
    return lambda v: _with(v, "patroni", name, dataclasses.replace(v.patroni[name], itself=said))


def patroni_lost(name: str) -> Change:
    return lambda v: _with(v, "patroni", name, PatroniView(LOST, LOST))


def etcd_lost(name: str) -> Change:
    return lambda v: _with(v, "etcd", name, EtcdView(LOST, LOST, LOST))


def etcd_says(name: str, said: EtcdStatus | Unknown) -> Change:
    return lambda v: _with(v, "etcd", name, dataclasses.replace(v.etcd[name], status=said))


def etcd_leader_on(leader: str) -> Change:
    return lambda v: dataclasses.replace(v, etcd={n: _etcd(n, leader) for n in v.etcd})


def etcd_without_quorum(*alive: str) -> Change:
    """Only `alive` answer, and they know no leader; nobody can read the keys."""
    errors = ("etcdserver: no leader",)
    lonely = {n: EtcdView(EtcdStatus(_IDS[n], "", errors=errors), _MEMBERS, LOST) for n in alive}
    dead = EtcdView(LOST, LOST, LOST)
    return lambda v: dataclasses.replace(v, etcd={n: lonely.get(n, dead) for n in v.etcd})


def keys(**changes: Any) -> Change:
    """What etcd holds: `leader`, `sync_standbys`, and hactl's own keys as fields of Dcs."""
    found = look(**changes)
    return lambda v: dataclasses.replace(
        v, control=found, etcd={n: dataclasses.replace(e, keys=found) for n, e in v.etcd.items()}
    )


def vip(name: str, holder: str | Unknown | None) -> Change:
    return lambda v: _with(v, "vips", name, dataclasses.replace(v.vips[name], holder=holder))


def archive(name: str, **levels: Probe) -> Change:
    return lambda v: _with(v, "archives", name, ArchiveView({**v.archives[name].levels, **levels}))


def archive_lost(name: str) -> Change:
    return archive(name, L0=DOWN, L1=DOWN, L2=DOWN)


def host_lost(name: str) -> Change:
    """Everything that runs there is silent at once, as after a power cut."""

    def change(view: ClusterView) -> ClusterView:
        view = node_unreachable(name)(view)
        view = _with(view, "facts", name, LOST)
        for field, lose in (("patroni", patroni_lost), ("etcd", etcd_lost), ("archives", archive_lost)):
            if name in getattr(view, field):
                view = lose(name)(view)
        return view

    return change


def paused() -> Change:
    known = dataclasses.replace(_CLUSTER, paused=True)
    return lambda v: dataclasses.replace(
        v, patroni={n: dataclasses.replace(p, cluster=known) for n, p in v.patroni.items()}
    )


def facts(name: str, **changes: Any) -> Change:
    return lambda v: _with(v, "facts", name, dataclasses.replace(_facts(name), **changes))


def preflight(name: str, **changes: Any) -> Change:
    """What a node's preflight says; nothing else of it was asked."""
    return lambda v: _with(v, "preflight", name, NodePreflight(**changes))


def untold(field: str, name: str, why: str = "it does not know this") -> Change:
    """`preflight`, `servers` or `files` of a node that could not be had."""
    return lambda v: _with(v, field, name, Unknown(why))


def server(name: str, *slots: Slot, rewind: str | Unknown = "", wal: int = 0, **settings: str) -> Change:
    """A running PostgreSQL; `settings` over what is right."""
    known = {
        "wal_log_hints": "on", "data_checksums": "on", "full_page_writes": "on",
        **settings,
    }  # fmt: skip
    kept = known.pop("max_slot_wal_keep_size", "8192")
    found = {n: Setting(n, "bool", value, value, source="configuration file") for n, value in known.items()}
    found["max_slot_wal_keep_size"] = Setting(
        "max_slot_wal_keep_size", "integer", kept, f"{kept}MB", "MB", source="configuration file"
    )
    return lambda v: _with(v, "servers", name, ServerLook(found, rewind, wal, slots))


def files_of(name: str, *differ: str) -> Change:
    return lambda v: _with(v, "files", name, differ)


def certificate(node: str, use: str, state: CertState, why: str = "") -> Change:
    return lambda v: dataclasses.replace(v, certificates=(CertView(node, use, state, why),))


def config(found: dict[str, object]) -> Change:
    return lambda v: dataclasses.replace(
        v, patroni={n: dataclasses.replace(p, config=found) for n, p in v.patroni.items()}
    )
