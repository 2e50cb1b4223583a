"""Builds what the controller asks and acts with, from a spec and a node's site."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path as File

from hactl import layout
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.fence_agent import FOLDER, FenceAgent
from hactl.adapters.heartbeat import VipHeartbeat
from hactl.adapters.http import HttpsClient
from hactl.adapters.prober import TlsProber
from hactl.ports import Ports
from hactl.site import Site
from hactl.spec.dsn import identity
from hactl.spec.model import ClusterSpec
from hactl.view.control import Path
from hactl.wiring import etcd_kv, status_ports


@dataclass(frozen=True)
class ControllerPorts:
    """`questions`: what each path to each host asks again and again. `devices`: fence agents by node."""

    kv: EtcdKvClient
    questions: Mapping[tuple[str, Path], TlsProber]
    heart: VipHeartbeat
    devices: Mapping[str, FenceAgent]
    around: Ports


def controller_ports(
    spec: ClusterSpec, site: Site, me: str, *, fence_agents: File = FOLDER
) -> ControllerPorts:
    http = HttpsClient(site.ca, site.cert, site.key)
    return ControllerPorts(
        kv=etcd_kv(spec, site, me),
        questions=_questions(spec, http),
        heart=VipHeartbeat(heartbeat_conninfo(spec, site), row=list(spec.nodes).index(me) + 1, by=me),
        devices={
            n: FenceAgent(a.agent, a.options, folder=fence_agents) for n, a in spec.fencing.agents.items()
        },
        around=status_ports(spec, site),
    )


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
