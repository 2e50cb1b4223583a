"""Builds what the controller asks and acts with, from a spec and a node's site."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File

from hactl import layout
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.fence_agent import FOLDER, FenceAgent
from hactl.adapters.heartbeat import VipHeartbeat
from hactl.adapters.http import HttpsClient
from hactl.adapters.prober import TlsProber
from hactl.ports import ArchiveLines, Ports
from hactl.site import Site
from hactl.spec.aets import echo_aets
from hactl.spec.dsn import identity
from hactl.spec.model import ClusterSpec
from hactl.view.control import Path
from hactl.view.keys import Keys
from hactl.view.pace import MANY
from hactl.wiring import etcd_gateways, etcd_kv, https, status_ports
from hactl.wiring_archive import archive_kind


@dataclass(frozen=True)
class ControllerPorts:
    """`questions`: what each path to each host asks again and again. `devices`: fence agents by node."""

    kv: EtcdKvClient
    questions: Mapping[tuple[str, Path], TlsProber]
    heart: VipHeartbeat
    devices: Mapping[str, FenceAgent]
    around: Ports
    archives: Mapping[str, ArchiveLines]


def controller_ports(
    spec: ClusterSpec, site: Site, me: str, *, fence_agents: File = FOLDER
) -> ControllerPorts:
    http = https(site)
    return ControllerPorts(
        kv=etcd_kv(spec, site, me, http),
        questions=_questions(spec, http),
        heart=VipHeartbeat(heartbeat_conninfo(spec, site), row=list(spec.nodes).index(me) + 1, by=me),
        devices={
            n: FenceAgent(a.agent, a.options, folder=fence_agents) for n, a in spec.fencing.agents.items()
        },
        around=_around(spec, site, http),
        archives=archive_lines(spec, site, me),
    )


def _around(spec: ClusterSpec, site: Site, http: HttpsClient) -> Ports:
    """The archive has threads of its own: nobody else may ask what hangs there, nor read what is so much."""
    ports = dataclasses.replace(status_ports(spec, site, http), archives={})
    if len(spec.archive_addresses) <= MANY:
        return ports
    gets = Keys(spec.cluster).look_but_archives(spec.voters)
    return dataclasses.replace(ports, etcd=etcd_gateways(spec, http, gets))


def archive_lines(spec: ClusterSpec, site: Site, me: str) -> dict[str, ArchiveLines]:
    """How a controller on node `me` asks each archive."""
    kind = archive_kind(spec, site, echo_aets(spec).get(me, ""), https(site))
    return {name: kind.again(name) for name in spec.archive_addresses}


def heartbeat_conninfo(spec: ClusterSpec, site: Site) -> dict[str, str]:
    """As `hactl dsn --role probe`, without its times: the heartbeat has a finer deadline of its own."""
    user, database = identity(spec, "probe")
    return {
        "host": str(spec.vips.database.address.ip),
        "port": str(layout.PORT_POSTGRES),
        "user": user,
        "dbname": database,
        "sslmode": "verify-full",
        "sslrootcert": str(site.ca),
        "channel_binding": "require",
        "passfile": str(site.pgpass),
        "gssencmode": "disable",
    }


def _questions(spec: ClusterSpec, http: HttpsClient) -> dict[tuple[str, Path], TlsProber]:
    asked = {}
    for node, database in spec.databases.items():
        address, port = str(database.address), layout.PORT_PATRONI
        asked[node, Path.PATRONI] = TlsProber(http.context, address, port, "/liveness")
    for node, voter in spec.voters.items():
        # Answered by the process itself: neither a majority nor a disk is asked.
        address, port = str(voter.address), layout.PORT_ETCD_CLIENT
        asked[node, Path.ETCD_PEER] = TlsProber(http.context, address, port, "/version")
    return asked
