"""Builders of what a controller publishes: a healthy installation, seen by an active controller."""

from __future__ import annotations

import dataclasses
from typing import Any

from hactl.metrics.snapshot import Snapshot, Totals
from hactl.view.control import ControlView, Dcs, FenceIntent, Heartbeat, Leader, Mode
from hactl.view.incident import Incident, Phase, Stamp
from tests.support.views import healthy, look

NOW = 1000.0


def dcs(**changes: Any) -> Dcs:
    own = {"modes": {"db1": Mode.LEASED, "db2": Mode.OPEN}, "recent_failovers": 1}
    return look(**{**own, "budget": {("db2", "restart"): 2}, **changes})


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
