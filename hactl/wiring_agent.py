"""Builds what the agent of one node speaks to, from a spec and a site."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hactl import layout, wiring
from hactl.adapters import postgres_answer
from hactl.adapters.agent_notes import AgentNotes
from hactl.adapters.archive_door import ArchiveDoor
from hactl.adapters.archive_notes import ArchiveNotes
from hactl.adapters.canary import FsyncCanary
from hactl.adapters.clock import SystemClock
from hactl.adapters.command import Result, run
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.events import EventLog
from hactl.adapters.http import HttpsClient
from hactl.adapters.integrity_files import integrity_facts
from hactl.adapters.kernel import LeaseTable
from hactl.adapters.ledger_files import newest_ledger
from hactl.adapters.postgres_forks import NewConnections
from hactl.adapters.postgres_local import LocalPostgres
from hactl.adapters.processes import Processes, boot_mark, disk, unit_states
from hactl.adapters.replication_links import ReplicationLinks
from hactl.adapters.rootacts import SudoActs
from hactl.adapters.storage_eyes import StorageEyes
from hactl.adapters.systemd_notify import SystemdNotify
from hactl.adapters.vip import KernelVip
from hactl.errors import Refused
from hactl.ports import ProvesStorage
from hactl.render import acts
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.view.archive_kind import Program
from hactl.view.integrity import IntegrityFacts
from hactl.view.keys import Keys
from hactl.view.model import Disk, Probe
from hactl.wiring_archive import archive_kind

CHECK_WITHIN = 40.0  # s: Python's start on a busy machine, and a check whose own deadline is 20 s


@dataclass(frozen=True)
class DatabaseParts:
    """Only database nodes have these. `peers` ask whether the other one's PostgreSQL answers, in time."""

    table: LeaseTable
    vip: KernelVip
    postgres: LocalPostgres
    forks: NewConnections
    canary: FsyncCanary
    patroni: HttpsClient
    peers: Mapping[str, Callable[..., Probe]]
    links: Mapping[str, ReplicationLinks]
    ledger: Callable[[], Mapping[str, object]]


@dataclass(frozen=True)
class ArchiveParts:
    """Only archive nodes have these. `check` runs a program to its end, whatever its exit code."""

    door: ArchiveDoor
    eyes: StorageEyes
    notes: ArchiveNotes
    vip: KernelVip
    known: ProvesStorage
    program: Program
    check: Callable[[Sequence[str]], Result]
    integrity: Callable[[], IntegrityFacts]


@dataclass(frozen=True)
class AgentParts:
    """`vips`: by address, all that this node may hold. `spare`: why its own certificate is not in use."""

    boot: str
    keys: Keys
    clocks: SystemClock
    kv: EtcdKvClient
    spare: Callable[[], str]
    notes: AgentNotes
    acts: SudoActs
    service: SystemdNotify
    events: EventLog
    processes: Processes
    units: Callable[[], dict[str, str]]
    disks: Callable[[], tuple[Disk, ...]]
    vips: Mapping[str, KernelVip]
    database: DatabaseParts | None
    archive: ArchiveParts | None


def agent_parts(spec: ClusterSpec, site: Site, node: str) -> AgentParts:
    https = wiring.https(site)
    vips = _vips(spec, node)
    units = (*acts.units(spec, node), "hactl-rules.service")
    return AgentParts(
        boot=boot_mark(),
        keys=Keys(spec.cluster),
        clocks=SystemClock(),
        kv=wiring.etcd_kv(spec, site, here=node, http=https),
        spare=https.stand_in,
        notes=AgentNotes(Path(layout.RUN), Path(layout.STATE)),
        acts=SudoActs(),
        service=SystemdNotify(),
        events=EventLog(f"agent {node}"),
        processes=Processes(),
        units=functools.partial(unit_states, units),
        disks=functools.partial(_disks, spec, node),
        vips=vips,
        database=_database(spec, site, node, https) if node in spec.databases else None,
        archive=_archive(spec, site, node, https) if node in spec.archives else None,
    )


def _disks(spec: ClusterSpec, node: str) -> tuple[Disk, ...]:
    """Those that fill up. Raises Unreachable: one cannot be looked at."""
    paths = ["/"]
    if node in spec.databases:
        paths.append("/var/lib/postgresql")
    if node in spec.voters:
        paths.append("/var/lib/etcd")
    if node in spec.archives:
        paths.append(spec.archive.storage)
    return tuple(disk(path) for path in paths)


def _vips(spec: ClusterSpec, node: str) -> dict[str, KernelVip]:
    holders = {"database": spec.databases, "archive": spec.archives}
    mine = (vip for name, vip in spec.vips.by_name.items() if node in holders[name])
    return {str(vip.address.ip): KernelVip(vip.address, vip.interface) for vip in mine}


def _archive(spec: ClusterSpec, site: Site, node: str, https: HttpsClient) -> ArchiveParts:
    vip, kind = spec.archive_vip, archive_kind(spec, site, "", https)
    known, program = kind.storage(), kind.program
    if known is None or program is None:
        raise Refused(f"hactl runs no archive of kind {spec.archive.kind} on a node")
    return ArchiveParts(
        door=ArchiveDoor(str(vip.address.ip), str(spec.nodes[node].address), Path(layout.ARCHIVE_RULES)),
        eyes=StorageEyes(Path(spec.archive.storage), node),
        notes=ArchiveNotes(Path(layout.RUN), Path(layout.STATE)),
        vip=KernelVip(vip.address, vip.interface),
        known=known,
        program=program,
        integrity=functools.partial(integrity_facts, Path(layout.INTEGRITY)),
        check=functools.partial(run, within=CHECK_WITHIN, check=False),
    )


def _database(spec: ClusterSpec, site: Site, node: str, https: HttpsClient) -> DatabaseParts:
    vip = spec.vips.database
    return DatabaseParts(
        table=LeaseTable(str(vip.address.ip), Path(layout.LEASE_RULES)),
        vip=KernelVip(vip.address, vip.interface),
        postgres=LocalPostgres(conninfo(spec, site, node)),
        forks=NewConnections(str(layout.POSTGRES_SOCKETS / f".s.PGSQL.{layout.PORT_POSTGRES}")),
        canary=FsyncCanary(Path(layout.CANARY)),
        patroni=https,
        peers={
            name: functools.partial(postgres_answer.answers, str(other.address), layout.PORT_POSTGRES)
            for name, other in spec.databases.items()
            if name != node
        },
        links={
            name: ReplicationLinks(str(spec.nodes[node].address), str(other.address), layout.PORT_POSTGRES)
            for name, other in spec.databases.items()
            if name != node
        },
        ledger=functools.partial(newest_ledger, Path(layout.LEDGER)),
    )


def conninfo(spec: ClusterSpec, site: Site, node: str) -> dict[str, str]:
    """The monitoring role on this node's own address: its certificate is checked as anybody's."""
    return {
        "host": str(spec.nodes[node].address), "port": str(layout.PORT_POSTGRES),
        "user": layout.ROLE_MONITOR, "dbname": "postgres", "passfile": str(site.pgpass),
        "sslmode": "verify-full", "sslrootcert": str(site.ca), "channel_binding": "require",
        "gssencmode": "disable", "tcp_user_timeout": "2000",
        "keepalives_idle": "2", "keepalives_interval": "1", "keepalives_count": "3",
    }  # fmt: skip
