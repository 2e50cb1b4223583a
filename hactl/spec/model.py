"""The spec: what a PACS installation is meant to be. Frozen, unknown keys fail.

Rules that need only one value stand in the types; rules between values stand in `rules.py`.
"""

from __future__ import annotations

import enum
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from hactl.units import Seconds

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,31}$")]
Interface = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,14}$")]
# DICOM PS3.5 6.2 allows more; hactl allows what needs no quoting anywhere and no trimming (AE: at most 16 characters).
AeTitle = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9_.-]{0,15}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_.-]*[A-Za-z0-9_-])+$", max_length=200)]
SqlName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
Port = Annotated[int, Field(ge=1, le=65535, strict=True)]


def _duration(value: object) -> object:
    return Seconds.parse(value) if isinstance(value, str) else value


Duration = Annotated[
    Seconds,
    BeforeValidator(_duration, json_schema_input_type=Annotated[str, StringConstraints(pattern=r"^\d+(\.\d+)?(ms|s|min|h|d)$")]),
    PlainSerializer(str, return_type=str),
]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Role(enum.StrEnum):
    DATABASE = "database"
    WITNESS = "witness"
    ARCHIVE = "archive"


class Node(Model):
    """One machine."""

    address: IPv4Address = Field(description="The node's own address; everything between nodes goes through it.")
    roles: tuple[Role, ...] = Field(min_length=1, description="What runs there: database, witness or archive.")


class Vip(Model):
    """A virtual IP: an address that follows the service."""

    address: IPv4Interface = Field(description="Address and prefix length, for example 192.0.2.100/24.")
    interface: Interface = Field(description="The network interface that carries it, the same on each node that may hold it.")
    router_id: Annotated[int, Field(ge=1, le=255, strict=True)] | None = Field(
        default=None, description="VRRP virtual router id; unique on the network segment. Default 51 (database), 52 (archive)."
    )


class Vips(Model):
    database: Vip = Field(description="Follows the primary.")
    archive: Vip = Field(description="Follows a healthy archive node.")


class Database(Model):
    """The PostgreSQL pair."""

    version: Literal[15] = Field(default=15, description="PostgreSQL's major version, as Debian 12 packages it.")
    name: SqlName = Field(default="orthanc", description="The archive's database, and the name of the role that owns it.")
    parameters: dict[SqlName, str | int | float | bool] = Field(
        default_factory=dict, description="Further PostgreSQL parameters. Those that hactl must set itself are refused."
    )


class Modality(Model):
    """A DICOM application that may talk to the archive."""

    aet: AeTitle = Field(description="Its AE title.")
    address: IPv4Address = Field(description="Its address.")
    port: Port = Field(default=104, description="Where it listens, for C-MOVE.")
    tls: bool = Field(default=True, description="Whether it listens with TLS.")


class Archive(Model):
    """The archive nodes."""

    kind: Literal["orthanc"] = "orthanc"
    aet: AeTitle = Field(default="PACS", description="The archive's AE title.")
    storage: AbsolutePath = Field(default="/srv/images", description="Shared image storage, mounted on each archive node.")
    modalities: dict[Name, Modality] = Field(default_factory=dict, description="Who may send, find and fetch: all others are refused.")


FenceOption = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./:@=,+-]{1,200}$")]


class FenceAgent(Model):
    """How one node is switched off from outside, by one of Debian's fence agents."""

    agent: Annotated[str, StringConstraints(pattern=r"^fence_[a-z0-9_]{1,40}$")]
    options: dict[SqlName, FenceOption | int | bool] = Field(
        default_factory=dict, description="Options of the agent. Secrets go into a file, named by password_file."
    )


class Fencing(Model):
    lease: Duration = Field(default=Seconds(3), description="How long a cut-off primary may serve at most (2s to 30s).")
    agents: dict[Name, FenceAgent] = Field(default_factory=dict, description="A fence agent for each node that has one.")


class Webhook(Model):
    webhook: Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9._~:/?#@!&*+,;=%-]{1,500}$")]


class Email(Model):
    email: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}$")]


class Ssh(Model):
    """How hactl reaches the nodes."""

    user: UserName = Field(default="hactl", description="The account for operations; limited to a fixed set of verbs.")
    deploy_user: UserName = Field(default="root", description="The account for `hactl deploy`: root, or one with sudo without password.")
    port: Port = 22


class Access(Model):
    """Who may reach the installation from outside its own nodes. Everybody else is dropped by nftables."""

    operators: tuple[IPv4Network, ...] = Field(default=(), description="Where `hactl` is run: SSH, Patroni, etcd, Prometheus.")
    clients: tuple[IPv4Network, ...] = Field(
        default=(), description="Who may use the virtual IPs. Empty: the networks of the virtual IPs themselves."
    )


class ClusterSpec(Model):
    """One PACS installation."""

    cluster: Name = Field(description="The installation's name; also Patroni's scope and the name of its CA.")
    nodes: dict[Name, Node] = Field(description="Every machine, by name.")
    vips: Vips
    database: Database = Field(default_factory=Database)
    archive: Archive = Field(default_factory=Archive)
    fencing: Fencing = Field(default_factory=Fencing)
    notify: tuple[Webhook | Email, ...] = Field(default=(), description="Who is told.")
    ssh: Ssh = Field(default_factory=Ssh)
    access: Access = Field(default_factory=Access)

    def having(self, role: Role) -> dict[str, Node]:
        """The nodes that have a role, in the spec's order."""
        return {name: node for name, node in self.nodes.items() if role in node.roles}

    @property
    def databases(self) -> dict[str, Node]:
        return self.having(Role.DATABASE)

    @property
    def witnesses(self) -> dict[str, Node]:
        return self.having(Role.WITNESS)

    @property
    def archives(self) -> dict[str, Node]:
        return self.having(Role.ARCHIVE)

    @property
    def voters(self) -> dict[str, Node]:
        """The nodes that run etcd: database nodes and witnesses."""
        return {n: node for n, node in self.nodes.items() if Role.DATABASE in node.roles or Role.WITNESS in node.roles}


NAME_PATTERN = re.compile(r"^[a-z][a-z0-9-]{0,31}$")
