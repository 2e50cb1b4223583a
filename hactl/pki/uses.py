"""Which certificates an installation has: one row a use, multiplied by the nodes that need it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from hactl.spec.model import ClusterSpec, Node, Role

OPS: Final = "ops"  # stands where a node's name stands: the workstation that hactl is run from
OPS_DICOM: Final = "ops-dicom"
MODALITY: Final = "modality"  # stands where a use stands; modalities are no nodes, hence no rows of the table
LEAF_DAYS: Final = 397  # what browsers accept at most is 398 days
SPARE_DAYS: Final = LEAF_DAYS + 183  # made with the others, it ends half a year after them
LOOPBACK: Final = ("127.0.0.1", "localhost")
_VOTERS: Final = frozenset({Role.DATABASE, Role.WITNESS})
_DATABASE: Final = frozenset({Role.DATABASE})
_ARCHIVE: Final = frozenset({Role.ARCHIVE})
_WITNESS: Final = frozenset({Role.WITNESS})


@dataclass(frozen=True)
class CaKind:
    """One of the cluster's two CAs: `name` of its files, `title` in its subject, `option` to replace it."""

    name: str
    title: str
    option: str
    next_key: str

    @property
    def use(self) -> str:
        """What stands where a use stands."""
        return self.option.removeprefix("--")


CLUSTER_CA: Final = CaKind("ca", "hactl CA", "--ca", "next.key")
# etcd, Patroni and Prometheus let in whom their CA signed, whatever the name: what leaves the cluster's
# machines, as a modality's certificate does, must come from another one.
DICOM_CA: Final = CaKind("dicom", "hactl DICOM CA", "--dicom-ca", "dicom-next.key")
CA_KINDS: Final = (CLUSTER_CA, DICOM_CA)


@dataclass(frozen=True)
class CertSpec:
    """One certificate as it should be.

    `sans` are node names and IP addresses as text, sorted; empty for a pure client, which nobody calls. etcd
    refuses a peer that comes from an address which its certificate does not name. Owner, group and mode are
    those of the key on the node.
    """

    node: str
    use: str
    cn: str
    sans: tuple[str, ...]
    server: bool
    client: bool
    owner: str
    group: str
    mode: str = "0600"
    rsa: bool = False
    ca: CaKind = CLUSTER_CA
    days: int = LEAF_DAYS


@dataclass(frozen=True)
class Use:
    """A row of the table: a node with one of `roles` has it; `{node}` in `cn` is filled in."""

    name: str
    roles: frozenset[Role]
    cn: str
    server: bool
    client: bool
    owner: str
    rsa: bool = False
    ca: CaKind = CLUSTER_CA
    days: int = LEAF_DAYS


USES: Final = (
    Use("etcd-peer", _VOTERS, "{node}", server=True, client=True, owner="etcd"),
    # Client as well: etcd's own HTTP gateway dials its gRPC port with this certificate.
    Use("etcd-server", _VOTERS, "{node}", server=True, client=True, owner="etcd"),
    Use("patroni", _DATABASE, "{node}", server=True, client=True, owner="postgres"),
    Use("postgres", _DATABASE, "{node}", server=True, client=False, owner="postgres"),
    # clientcert=verify-full compares the CN with the name of the database role.
    Use("replicator", _DATABASE, "replicator", server=False, client=True, owner="postgres"),
    Use("rewind", _DATABASE, "rewind", server=False, client=True, owner="postgres"),
    # RSA: DCMTK 3.6.7 has no ECDSA cipher of TLS 1.2, and many modalities speak nothing newer.
    Use("orthanc", _ARCHIVE, "{node}", server=True, client=True, owner="orthanc", rsa=True, ca=DICOM_CA),
    Use("nginx", _ARCHIVE, "{node}", server=True, client=False, owner="root"),
    Use("hactl", frozenset(Role), "hactl-{node}", server=False, client=True, owner="hactl"),
    # For when `hactl` is broken, or was forgotten when it ended: without etcd a primary may not serve.
    Use("hactl-spare", _VOTERS, "hactl-{node}", server=False, client=True, owner="hactl", days=SPARE_DAYS),
    # For hactl's own checks by DICOM: controllers' C-ECHO, and each archive node's check of itself, which is
    # called back for C-MOVE. What its bearer may do is Orthanc's list of AE titles to say: little.
    Use("dicom", frozenset(Role), "hactl-{node}", server=True, client=True, owner="hactl", ca=DICOM_CA),
    Use("metrics", _VOTERS, "{node}", server=True, client=False, owner="hactl"),
    Use("prometheus", _WITNESS, "prometheus", server=False, client=True, owner="prometheus"),
    # A second one: the client is known by its CN, the server by the node's names.
    Use("prometheus-web", _WITNESS, "{node}", server=True, client=False, owner="prometheus"),
)
# Patroni's REST API reads whom it trusts again only when its own certificate is another one (patroni/api.py,
# reload_local_certificate): each change of the trusted CAs must bring it a new one, or a reload does nothing.
REREAD_TRUST_WITH_OWN: Final = frozenset({"patroni"})
USE_NAMES: Final = (*(use.name for use in USES), OPS, OPS_DICOM)


def certificates(spec: ClusterSpec) -> tuple[CertSpec, ...]:
    """Every certificate the spec asks for, node by node in the spec's order, the workstation's last."""
    return tuple(_certificates(spec))


def _certificates(spec: ClusterSpec) -> Iterator[CertSpec]:
    for name, node in spec.nodes.items():
        for use in USES:
            if use.roles.isdisjoint(node.roles):
                continue
            sans = _server_names(spec, name, node) if use.server else ()
            cn = use.cn.format(node=name)
            yield CertSpec(
                name, use.name, cn, sans, use.server, use.client, use.owner, use.owner,
                rsa=use.rsa, ca=use.ca, days=use.days,
            )  # fmt: skip
    yield CertSpec(OPS, OPS, OPS, (), server=False, client=True, owner="root", group="root")
    # Server as well: for C-MOVE the archive calls back, and its TLS library demands that of whom it calls.
    yield CertSpec(OPS, OPS_DICOM, OPS, (), server=True, client=True, owner="root", group="root", ca=DICOM_CA)


def modality(spec: ClusterSpec, name: str) -> CertSpec:
    """The certificate of a modality: it calls the archive, and is called by it for C-MOVE.

    Raises KeyError when the spec has none of that name.
    """
    found = spec.archive.modalities[name]
    return CertSpec(
        name, MODALITY, found.aet, (str(found.address),), server=True, client=True,
        owner="root", group="root", rsa=True, ca=DICOM_CA,
    )  # fmt: skip


def _server_names(spec: ClusterSpec, name: str, node: Node) -> tuple[str, ...]:
    """What clients may call this node: its name, its address, the loopback, and each VIP that it may hold."""
    held = (str(vip.address.ip) for role, vip in spec.vips.by_name.items() if Role(role) in node.roles)
    return tuple(sorted({name, str(node.address), *LOOPBACK, *held}))
