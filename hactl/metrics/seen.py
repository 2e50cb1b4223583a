"""A snapshot without what is too old to say anything about now. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from hactl.metrics.snapshot import Snapshot
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs, Heartbeat

Row = tuple[str, tuple[str, ...], float]  # a metric's name, its labels' values, the value


@dataclass(frozen=True)
class Seen:
    """`view` and `dcs` are None when not looked at, not answered, or too old. `look_age` in seconds."""

    active: bool
    look_age: float | None
    view: ClusterView | None
    dcs: Dcs | None
    heartbeat: Heartbeat | None

    @classmethod
    def of(cls, snapshot: Snapshot, now: float, within: float) -> Self:
        control, viewed = snapshot.control, snapshot.view_at
        look_age = max(0.0, now - control.dcs_at) if control else None
        fresh = control is not None and look_age is not None and look_age <= within
        return cls(
            active=snapshot.holding and now - snapshot.at <= within,
            look_age=look_age,
            view=snapshot.view if viewed is not None and now - viewed <= within else None,
            dcs=control.dcs if control and fresh and isinstance(control.dcs, Dcs) else None,
            heartbeat=control.heartbeat if control else None,
        )
