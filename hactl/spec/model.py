"""The spec: what a PACS installation is meant to be. Frozen, unknown keys fail.

Rules that need only one value stand in the types; rules between values stand in `rules.py`.
"""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from hactl.errors import Refused
from hactl.spec.base import Model
from hactl.spec.model_access import Access, Ssh
from hactl.spec.model_drills import Drills
from hactl.spec.types import (
    AbsolutePath,
    Address,
    AeTitle,
    AgentName,
    DicomWebUrl,
    Duration,
    EmailAddress,
    FenceOption,
    Flag,
    Interface,
    InterfaceAddress,
    LoadCeiling,
    LoginName,
    Megabytes,
    Name,
    ParameterValue,
    Port,
    Readers,
    RouterId,
    Smarthost,
    SqlName,
    WebhookUrl,
)
from hactl.units import Seconds


class Role(enum.StrEnum):
    DATABASE = "database"
    WITNESS = "witness"
    ARCHIVE = "archive"


class Node(Model):
    """One machine."""

    address: Address = Field(description="The node's own address; everything between nodes goes through it.")
    roles: tuple[Role, ...] = Field(
        min_length=1,
        description="What runs there: `database`, `witness` or `archive`; one role for each node.",
    )


class Vip(Model):
    """A virtual IP: an address that follows the service."""

    address: InterfaceAddress = Field(
        description="Address and the prefix length of its network, for example 192.0.2.100/24."
    )
    interface: Interface = Field(
        description="The network interface that carries it, the same on each node that may hold it."
    )
    router_id: RouterId = Field(description="VRRP virtual router id, unique on the network segment.")


class DatabaseVip(Vip):
    """The virtual IP of the primary."""

    router_id: RouterId = Field(
        default=51, description="VRRP virtual router id, unique on the network segment."
    )


class ArchiveVip(Vip):
    """The virtual IP of a healthy archive node."""

    router_id: RouterId = Field(
        default=52, description="VRRP virtual router id, unique on the network segment."
    )


class Vips(Model):
    """The addresses that clients use."""

    database: DatabaseVip = Field(description="Follows the primary; database nodes may hold it.")
    archive: ArchiveVip | None = Field(
        default=None,
        description="Follows a healthy archive node; archive nodes may hold it. Only, and always, where "
        "hactl runs the archive itself.",
    )

    @property
    def by_name(self) -> dict[str, Vip]:
        """Those that there are: `database`, `archive`."""
        found = {"database": self.database, "archive": self.archive}
        return {name: vip for name, vip in found.items() if vip is not None}


class Backup(Model):
    """The site's own backup of the database: hactl makes none, and the doctor looks whether there is one."""

    stamp: AbsolutePath = Field(
        description="A file on the database nodes, one or both, that every good backup touches."
    )
    every: Literal["day", "week"] = Field(default="day", description="How often a backup is made.")


class Database(Model):
    """The PostgreSQL pair."""

    version: Literal[15] = Field(
        default=15, description="PostgreSQL's major version, as Debian 12 packages it."
    )
    name: SqlName = Field(
        default="orthanc",
        description="The archive's database, and the name of the role that owns it.",
    )
    parameters: dict[SqlName, ParameterValue] = Field(
        default_factory=dict,
        description="Further PostgreSQL parameters. Those that hactl must set itself are refused.",
    )
    backup: Backup | None = Field(
        default=None, description="Where the site's own backup says that it was made; none: nobody looks."
    )


class Modality(Model):
    """A DICOM application that may talk to the archive."""

    aet: AeTitle = Field(description="Its AE title.")
    address: Address = Field(description="Its address.")
    port: Port = Field(default=104, description="Where it listens, for C-MOVE.")
    tls: Flag = Field(default=True, description="Whether it listens with TLS.")


class Scrub(Model):
    """How the images are read through again and again, to find what has decayed or was changed."""

    every: Literal["day", "week", "month", "never"] = Field(
        default="week",
        description="How often each archive node reads all images; the nodes take turns in their days.",
    )
    rate: Megabytes = Field(
        default=50, description="How much is read at most, in MB a second, on each node; 0: no limit."
    )
    load: LoadCeiling = Field(
        default=1.0,
        description="It pauses while more of others' processes than so many a processor run or wait for the "
        "disk (the load average of a minute); 0: it never pauses.",
    )
    readers: Readers = Field(
        default=2, description="How many images are read at once; more only where the disks allow it."
    )
    copies: tuple[AbsolutePath, ...] = Field(
        default=(),
        description="Folders with copies of the storage, laid out as it is and mounted on the archive nodes; "
        "a damaged image is put back from there.",
    )


class Signing(Model):
    """Digital signatures of images, made beside them by dcmsign (PS3.15). The files are the site's."""

    certificate: AbsolutePath = Field(description="PEM, on each archive node: in whose name is signed.")
    key: AbsolutePath = Field(
        description="Its key, PEM without a passphrase, readable by the account `hactl` and nobody else."
    )
    trusted: AbsolutePath = Field(
        description="PEM, on each archive node: the CAs whose signatures hold, old ones too."
    )


class DicomServer(Model):
    """An archive of somebody else's: it is watched over the network, and nothing is installed on it."""

    address: Address = Field(description="Its address.")
    port: Port = Field(default=104, description="Where it listens for DICOM.")
    tls: Flag = Field(default=True, description="Whether that is DICOM over TLS.")
    aet: AeTitle | None = Field(default=None, description="Its AE title; none: `archive.aet`.")
    dicomweb: DicomWebUrl | None = Field(
        default=None,
        description="The base address of its DICOMweb, with TLS (https://) or without; none: not asked.",
    )
    ca: AbsolutePath | None = Field(
        default=None,
        description="PEM, wherever hactl runs: who has signed its certificates; none: the cluster's own CAs.",
    )


class Archive(Model):
    """The archive nodes."""

    kind: Literal["orthanc", "dicom"] = Field(
        default="orthanc",
        description="The archive's software. `orthanc`: hactl runs it on the nodes with the role `archive`. "
        "`dicom`: any DICOM server that is there already; hactl only watches it.",
    )
    servers: dict[Name, DicomServer] = Field(
        default_factory=dict,
        description="With kind `dicom`: the archives, by a name of your choice. They are no nodes.",
    )
    aet: AeTitle = Field(default="PACS", description="The archive's AE title.")
    storage: AbsolutePath = Field(
        default="/srv/images",
        description="Shared image storage, mounted on each archive node.",
    )
    modalities: dict[Name, Modality] = Field(
        default_factory=dict,
        description="Who may send, find and fetch, by a name of your choice; all others are refused.",
    )
    scrub: Scrub = Field(default_factory=Scrub, description="How images are read through for damage.")
    signing: Signing | None = Field(
        default=None, description="Sign each new image, beside it; none: nothing is signed."
    )


class FenceAgent(Model):
    """How one node is switched off from outside, by one of Debian's fence agents."""

    agent: AgentName = Field(description="The program, for example `fence_ipmilan`.")
    options: dict[SqlName, FenceOption] = Field(
        default_factory=dict,
        description="Options of the agent. The password stands in a file, named by `password_file`.",
    )


class Fencing(Model):
    """How a lost primary is kept from serving."""

    lease: Duration = Field(
        default=Seconds(3),
        json_schema_extra={"default": "3s"},
        description="How long a cut-off primary may serve at most, 2s to 30s. "
        "Less than 3s also shortens etcd's election (docs/fencing.md, profile fast).",
    )
    agents: dict[Name, FenceAgent] = Field(
        default_factory=dict,
        description="A fence agent for each node that has one, by the node's name.",
    )


class Webhook(Model):
    """A web address that is told by POST."""

    webhook: WebhookUrl = Field(description="Where to post.")


class MailLogin(Model):
    """How Alertmanager logs in to a mail server."""

    username: LoginName = Field(description="The account there.")
    password_file: AbsolutePath = Field(
        description="A file on the witness with its password, which the account `prometheus` can read."
    )


class Email(Model):
    """A person who is told by e-mail."""

    email: EmailAddress = Field(description="Whom to write to.")
    smarthost: Smarthost = Field(
        default="127.0.0.1:25",
        description="The mail server, as host:port. STARTTLS (port 465: TLS) is demanded but on 127.0.0.1.",
    )
    sender: EmailAddress | None = Field(
        default=None, description="The sender's address; none: `hactl` in the recipient's domain."
    )
    login: MailLogin | None = Field(default=None, description="Where the mail server demands a login.")


def _kind_of_notice(entry: Any) -> str | None:
    if isinstance(entry, Webhook | Email):
        return "webhook" if isinstance(entry, Webhook) else "email"
    if isinstance(entry, dict):
        return next((kind for kind in ("webhook", "email") if kind in entry), None)
    return None


Notice = Annotated[
    Annotated[Webhook, Tag("webhook")] | Annotated[Email, Tag("email")],
    Discriminator(
        _kind_of_notice,
        custom_error_type="notice",
        custom_error_message="an entry is `webhook: URL` or `email: ADDRESS`",
    ),
]


class ClusterSpec(Model):
    """One PACS installation."""

    cluster: Name = Field(description="The installation's name; also Patroni's scope and the name of its CA.")
    nodes: dict[Name, Node] = Field(description="Every machine, by name.")
    vips: Vips = Field(description="The virtual IPs.")
    database: Database = Field(default_factory=Database, description="The PostgreSQL pair.")
    archive: Archive = Field(default_factory=Archive, description="The archive nodes.")
    fencing: Fencing = Field(
        default_factory=Fencing,
        description="How a lost primary is kept from serving.",
    )
    notify: tuple[Notice, ...] = Field(
        default=(),
        description="Who is told of alerts, by the witness's Alertmanager; it tries again until it succeeds.",
    )
    drills: Drills = Field(
        default_factory=Drills, description="Faults on purpose: when they are due, and when they may happen."
    )
    ssh: Ssh = Field(default_factory=Ssh, description="How hactl reaches the nodes.")
    access: Access = Field(default_factory=Access, description="Who may reach the installation from outside.")

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
    def archive_addresses(self) -> dict[str, Address]:
        """Every archive that is watched, by name: nodes of our own, or somebody else's servers."""
        own = {name: node.address for name, node in self.archives.items()}
        return own or {name: server.address for name, server in self.archive.servers.items()}

    @property
    def archive_vip(self) -> ArchiveVip:
        """Of an archive that hactl runs itself, which always has one. Raises Refused for all others."""
        if self.vips.archive is None:
            raise Refused(f"hactl runs no archive of kind {self.archive.kind}, so none has a virtual IP here")
        return self.vips.archive

    @property
    def voters(self) -> dict[str, Node]:
        """The nodes that run etcd: database nodes and witnesses."""
        votes = {Role.DATABASE, Role.WITNESS}
        return {name: node for name, node in self.nodes.items() if votes.intersection(node.roles)}
