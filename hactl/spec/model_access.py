"""The spec: how hactl reaches the nodes, who reaches the installation, and who may do what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hactl.spec.base import Model
from hactl.spec.types import (
    AbsolutePath,
    CertificateSubject,
    Flag,
    Name,
    Network,
    Port,
    SshKey,
    UserName,
)


class Ssh(Model):
    """How hactl reaches the nodes."""

    user: UserName = Field(
        default="hactl",
        description="The account for operations; limited to a fixed set of verbs.",
    )
    deploy_user: UserName = Field(
        default="root",
        description="The account for `hactl deploy`: root, or one with sudo without password.",
    )
    port: Port = Field(default=22, description="Where sshd listens on every node.")


class Person(Model):
    """Somebody who uses hactl without holding the cluster's secrets (docs/roles.md)."""

    role: Literal["view", "operate", "dangerous"] = Field(
        description="`view`: look. `operate`: also planned work. `dangerous`: also what may lose data or "
        "stop the service: fence, failover by hand, reinit, deploy, --force."
    )
    keys: tuple[SshKey, ...] = Field(
        default=(),
        description="SSH public keys: each lets this person call hactl on the operator's host, no more.",
    )
    os_users: tuple[UserName, ...] = Field(
        default=(), description="Accounts on the operator's host that may call `hactl gate` by sudo."
    )
    subjects: tuple[CertificateSubject, ...] = Field(
        default=(),
        description="Common names of client certificates of `view_ca`; they may look at /metrics.",
    )


class Access(Model):
    """Who may reach the installation from outside, and who may do what. All others are dropped or refused."""

    operators: tuple[Network, ...] = Field(
        default=(),
        description="Where `hactl` is run: Patroni, etcd, Prometheus. SSH stays as the site has it.",
    )
    clients: tuple[Network, ...] = Field(
        default=(),
        description="Who may use the virtual IPs. Empty: the networks of the virtual IPs themselves.",
    )
    people: dict[Name, Person] = Field(
        default_factory=dict,
        description="Who may do what through `hactl gate`, by name; the name stands in the journal.",
    )
    two_person: Flag = Field(
        default=False,
        description="A failover by hand waits until a second person, also `dangerous`, has approved it.",
    )
    view_ca: AbsolutePath | None = Field(
        default=None,
        description="PEM on database nodes and witnesses: a CA of the site's own whose client certificates "
        "may look at /metrics, if their subject is one of `people`. Never the cluster's CA.",
    )
