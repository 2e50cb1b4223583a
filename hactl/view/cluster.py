"""The whole of an installation as one look saw it.

A view is one moment: everything in it was asked for at the same time and came back within the same deadline.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hactl.view.control import Dcs, Heartbeat
from hactl.view.model import (
    NOT_ASKED,
    ArchiveView,
    CertView,
    EtcdMember,
    EtcdStatus,
    NodeFacts,
    PatroniView,
    Probe,
    Unknown,
    VipView,
)
from hactl.view.preflight import NodePreflight, ServerLook


@dataclass(frozen=True)
class EtcdView:
    """One endpoint, each question asked separately: a member without quorum still answers for itself.

    `keys`: Patroni's and hactl's, as one linearizable read saw them.
    """

    status: EtcdStatus | Unknown
    members: tuple[EtcdMember, ...] | Unknown
    keys: Dcs | Unknown


@dataclass(frozen=True)
class ClusterView:
    """One gathering. `at` is Unix time, `took` seconds.

    The doctor's: `facts`, `preflight`, `servers` (of database nodes), `files` (of each node those that are
    not as rendered), `certificates`.
    `control`: hactl's and Patroni's keys in etcd. `heartbeat`: known to the active controller only.
    """

    at: float
    took: float
    nodes: Mapping[str, Probe]
    patroni: Mapping[str, PatroniView]
    etcd: Mapping[str, EtcdView]
    archives: Mapping[str, ArchiveView]
    vips: Mapping[str, VipView]
    facts: Mapping[str, NodeFacts | Unknown] = field(default_factory=dict)
    preflight: Mapping[str, NodePreflight | Unknown] = field(default_factory=dict)
    servers: Mapping[str, ServerLook | Unknown] = field(default_factory=dict)
    files: Mapping[str, tuple[str, ...] | Unknown] = field(default_factory=dict)
    certificates: tuple[CertView, ...] | Unknown = ()
    control: Dcs | Unknown = NOT_ASKED
    heartbeat: Heartbeat | Unknown = NOT_ASKED
