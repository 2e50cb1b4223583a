"""Builders of what a controller publishes: a healthy installation, seen by an active controller."""

from __future__ import annotations

import dataclasses
from typing import Any

from hactl.metrics.snapshot import Snapshot, Totals
from hactl.units import Bytes
from hactl.view.control import AgentFacts, ControlView, Dcs, FenceIntent, Heartbeat, Leader, Mode
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.model import Disk
from tests.support.views import healthy

NOW = 1000.0


def facts(node: str, **changes: Any) -> AgentFacts:
    vips = {"db1": ("192.0.2.100",), "arc1": ("192.0.2.101",)}.get(node, ())
    lease = 2.4 if node.startswith("db") else None
    base = AgentFacts(
        node, "boot", 1, mode=Mode.LEASED if lease else None, lease_left=lease, vips=vips,
        disks=(Disk("/", Bytes(500), Bytes(1000)),), units={"keepalived.service": "active"},
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def dcs(**changes: Any) -> Dcs:
    nodes = ("db1", "db2", "wit1", "arc1", "arc2")
    base = Dcs(
        revision=100,
        modes={"db1": Mode.LEASED, "db2": Mode.OPEN},
        facts={n: facts(n) for n in nodes},
        active="wit1",
        standing_by=("db1", "db2"),
        recent_failovers=1,
        budget={("db2", "restart"): 2},
    )
    return dataclasses.replace(base, **changes)


def control(**changes: Any) -> ControlView:
    return ControlView("wit1", True, changes.pop("dcs", dcs()), NOW - 0.2, **changes)


def snapshot(**changes: Any) -> Snapshot:
    base = Snapshot(
        at=NOW, me="wit1", holding=True, control=control(heartbeat=Heartbeat(took=0.012)),
        view=healthy(), view_at=NOW - 1, findings=(), totals=Totals({"primary lost": 2}, {"db1": 3}),
        journal_head=41,
    )  # fmt: skip
    return dataclasses.replace(base, **changes)


def fence(node: str) -> FenceIntent:
    return FenceIntent(node, 7, "i-7", "wit1", Leader(node, 1, 2), "primary lost")


def failover(*, other: str = "wit1") -> Incident:
    """Suspected on wit1; what comes last was stamped by `other`, whose monotonic clock began elsewhere."""
    last = 3_100 if other == "wit1" else 99
    return Incident(
        "i-7", "primary lost", "db1", "db2", 7, outcome="failed over",
        stamps=(
            Stamp(Phase.SUSPECTED, "wit1", 1_000, "2026-11-22T08:00:00.000+00:00"),
            Stamp(Phase.PROOF, "wit1", 1_800, "2026-11-22T08:00:00.800+00:00"),
            Stamp(Phase.FIRST_COMMIT, other, last, "2026-11-22T08:00:02.100+00:00"),
        ),
    )  # fmt: skip
