"""How often something is tried, and how many misses count: for those who act and for those who only judge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MISSES: Final = 3  # commits by new connections that failed in a row
REJOIN: Final = "rejoin"
REINIT: Final = "reinit"
RECONCILE: Final = "reconcile"
DRAIN: Final = "drain"
REDEPLOY: Final = "redeploy"

# Acts within an hour for one node, by rung; etcd's leases count, so no restart of a controller forgets them.
BUDGET: Final[Mapping[str, int]] = {
    "kill-patroni": 3,
    REJOIN: 2,
    REINIT: 2,
    RECONCILE: 6,
    "start": 3,
    "restart": 3,
    "stop-postgres": 2,
    DRAIN: 3,
    REDEPLOY: 1,
}


def limit(rung: str) -> int:
    """A rung may name a unit: `restart:keepalived.service` has a budget of its own."""
    return BUDGET.get(rung.split(":", 1)[0], 0)
