"""etcd: one member on each database node and witness. Keys as etcd 3.4 (Debian 12) reads them from a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hactl import layout
from hactl.render.engine import header, text, yaml_document
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec
from hactl.units import Seconds

UNIT = "etcd.service"
ELECTION = 1000  # ms
# With a shorter lease an election of that length would end sessions; etcd wants five heartbeats at least.
STEADY, FAST_ELECTION = Seconds(3), 500  # ms


def render(spec: ClusterSpec, _secrets: RenderSecrets) -> tuple[RenderedFile, ...]:
    """The voters' files."""
    return tuple(f for node in spec.voters for f in _files(spec, node))


def configuration(spec: ClusterSpec, node: str) -> dict[str, Any]:
    """The config file. The cluster's token and members matter only for a member's first start."""
    address = spec.voters[node].address
    client, peer = (f"https://{address}:{p}" for p in (layout.PORT_ETCD_CLIENT, layout.PORT_ETCD_PEER))
    members = (f"{name}=https://{n.address}:{layout.PORT_ETCD_PEER}" for name, n in spec.voters.items())
    return {
        "name": node,
        "data-dir": str(layout.ETCD_DATA),
        "listen-client-urls": f"{client},https://127.0.0.1:{layout.PORT_ETCD_CLIENT}",
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(members),
        "initial-cluster-token": spec.cluster,
        "initial-cluster-state": "new",
        "strict-reconfig-check": True,
        "heartbeat-interval": 100,  # ms
        "election-timeout": FAST_ELECTION if spec.fencing.lease < STEADY else ELECTION,  # ms
        "pre-vote": True,  # without it a healed member forces an election, and with it a second outage
        "enable-grpc-gateway": True,  # Patroni's way in; on by default, but not with a config file (3.4)
        "enable-v2": False,
        "auto-compaction-mode": "periodic",
        "auto-compaction-retention": "1h",
        "quota-backend-bytes": layout.ETCD_QUOTA,
        "client-transport-security": _tls("etcd-server"),
        "peer-transport-security": _tls("etcd-peer"),
        "logger": "zap",
        "log-level": "info",
        "log-outputs": ["stderr"],
    }


def _tls(use: str) -> dict[str, Any]:
    return {
        "cert-file": f"{layout.PKI}/{use}.crt",
        "key-file": f"{layout.PKI}/{use}.key",
        "trusted-ca-file": f"{layout.PKI}/ca.crt",
        "client-cert-auth": True,
    }


def _files(spec: ClusterSpec, node: str) -> Iterator[RenderedFile]:
    head = header(node, spec.cluster)
    yield RenderedFile(
        node=node,
        path=str(layout.ETCD_CONFIG),
        content=yaml_document(configuration(spec, node), head),
        component="etcd",
        on_change="restart",
        unit=UNIT,
    )
    yield RenderedFile(
        node=node,
        path=f"/etc/systemd/system/{UNIT}.d/hactl.conf",
        content=text(
            "etcd/dropin.conf.j2", header=head, config=layout.ETCD_CONFIG, data=layout.ETCD_DATA.parent
        ),
        component="etcd",
        on_change="restart",
        unit=UNIT,
    )
