"""What every node has: the packet filter for hactl's own ports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hactl import layout
from hactl.render import access
from hactl.render.engine import header, text
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec

UNIT: Final = "hactl-rules.service"


@dataclass(frozen=True)
class Rule:
    """Who may reach a TCP port; everybody else is dropped. `allow` holds matches in nftables' words."""

    port: int
    allow: tuple[str, ...]


# Each node of the installation, and its operators: they hold certificates, and see no more than those allow.
_INSIDE: Final = ("ip saddr @nodes", "ip saddr @operators")

# From archive nodes only these accounts speak to etcd and Patroni: a taken-over Orthanc or nginx does not.
# Root goes by its number; hactl's differs from node to node: by its name, which `base` makes known before.
_KEPT: Final = (layout.PORT_ETCD_CLIENT, layout.PORT_ETCD_PEER, layout.PORT_PATRONI)
_ACCOUNTS: Final = ("0", "hactl")


def rules(spec: ClusterSpec, node: str) -> tuple[Rule, ...]:
    """The rules of one node, by its roles."""
    found: list[Rule] = []
    if node in spec.databases:
        found += _database(spec)
    if node in spec.voters:
        found.append(Rule(layout.PORT_ETCD_CLIENT, _INSIDE))
        found.append(Rule(layout.PORT_ETCD_PEER, ("ip saddr @voters",)))
        found.append(Rule(layout.PORT_METRICS, ("ip saddr @witnesses", "ip saddr @operators")))
    if node in spec.witnesses:
        found.append(Rule(layout.PORT_PROMETHEUS, ("ip saddr @operators",)))
    if node in spec.archives:
        open_to = (*_INSIDE, "ip saddr @clients")
        found.append(Rule(layout.PORT_HTTPS, open_to))
        found.append(Rule(layout.PORT_DICOM_TLS, (*open_to, "ip saddr @modalities")))
        found.append(Rule(layout.PORT_ORTHANC_HTTP, ()))
    return tuple(found)


def _database(spec: ClusterSpec) -> list[Rule]:
    """Applications reach PostgreSQL through the virtual IP only; the voters, for replication, directly."""
    vip = f"ip daddr {spec.vips.database.address.ip}"
    through = tuple(f"{vip} ip saddr @{name}" for name in ("nodes", "operators", "clients"))
    return [
        Rule(layout.PORT_POSTGRES, ("ip saddr @voters", *through)),
        Rule(layout.PORT_PATRONI, _INSIDE),
    ]


def sets(spec: ClusterSpec, node: str) -> dict[str, list[str]]:
    """The named sets of addresses; `holders` are those that may announce a virtual IP to this node."""
    shared = [nodes for nodes in (spec.databases, spec.archives) if node in nodes]
    return {
        "holders": [str(n.address) for nodes in shared for other, n in nodes.items() if other != node],
        "nodes": access.addresses(spec.nodes),
        "voters": access.addresses(spec.voters),
        "witnesses": access.addresses(spec.witnesses),
        "operators": access.operators(spec),
        "clients": access.clients(spec),
        "modalities": access.modalities(spec),
    }


def render(spec: ClusterSpec, _secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """The packet filter and its unit, on each node."""
    for node in spec.nodes:
        yield from _files(spec, node)


def _files(spec: ClusterSpec, node: str) -> Iterator[RenderedFile]:
    head = header(node, spec.cluster)
    mine = rules(spec, node)
    yield RenderedFile(
        node=node,
        path=str(layout.NFT_RULES),
        content=text(
            "base/rules.nft.j2",
            header=head,
            sets=sets(spec, node),
            rules=mine,
            ports=[rule.port for rule in mine],
            kept=_KEPT if node in spec.archives else (),
            accounts=_ACCOUNTS,
        ),
        component="base",
        validate=("/usr/sbin/nft", "-c", "-f", "%s"),
        on_change="reload",
        unit=UNIT,
    )
    yield RenderedFile(
        node=node,
        path=str(layout.SYSTEMD / UNIT),
        content=text(
            "base/hactl-rules.service.j2",
            header=head,
            rules=layout.NFT_RULES,
            lease=layout.LEASE_RULES if node in spec.databases else "",
            open_file=layout.OPEN_FILE,
            open_run=layout.OPEN_RUN,
        ),
        component="base",
        on_change="restart",
        unit=UNIT,
    )
