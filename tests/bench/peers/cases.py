"""What is compared: the same faults, and the ways to keep a pair of databases available."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hactl.lab.lab import Lab
from tests.bench.failover_cases import CASES as FAULTS
from tests.bench.failover_cases import DEFAULTS, VARIANTS, Case, Variant
from tests.bench.peers import pgaf_commands
from tests.support import etcd_leader

# The smallest that Patroni takes (patroni.validator); a smaller one is silently replaced by it.
MINIMUMS: Final = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "primary_start_timeout": 0,
    "primary_stop_timeout": 0,
}
LIMIT: Final = 90.0  # seconds; pg_auto_failover with its defaults takes 57 for a lost host
VOTE_LIMIT: Final = 60.0
NAMES: Final = (
    "host-loss", "vote-lost", "isolate", "freeze", "crash", "freeze-postgres", "switchover", "standby-loss",
)  # fmt: skip


def _vote_leads(lab: Lab, primary: str, _standby: str) -> None:
    etcd_leader.give(lab, primary)


def _with_monitor(lab: Lab, primary: str, _standby: str) -> None:
    """As if the monitor ran on the primary's host: both lose power, the monitor first."""
    lab.power_off(pgaf_commands.monitor(lab))
    lab.power_off(primary)


WITH_ETCD: Final[dict[str, Case]] = {
    **{name: replace(FAULTS[name], limit=LIMIT) for name in NAMES if name in FAULTS},
    "vote-lost": replace(
        FAULTS["host-loss"],
        name="vote-lost",
        what="primary's host lost with etcd's leader (or with the monitor)",
        before=_vote_leads,
        limit=VOTE_LIMIT,
    ),
    "freeze-postgres": replace(FAULTS["freeze-postgres"], limit=VOTE_LIMIT),
}
WITH_MONITOR: Final[dict[str, Case]] = {
    **WITH_ETCD,
    "vote-lost": replace(WITH_ETCD["vote-lost"], before=None, act=_with_monitor),
    "switchover": replace(WITH_ETCD["switchover"], act=pgaf_commands.switch_over, ours=None),
}
PATRONI: Final = "patroni"
PGAF: Final = "pgaf"
WAYS: Final = {
    way.name: way
    for way in (
        VARIANTS["bmc"],
        VARIANTS["no-bmc"],
        Variant(f"{PATRONI}-minimums", "Patroni, its minimums", hactl=False, settings=MINIMUMS),
        Variant(f"{PATRONI}-defaults", "Patroni, its defaults", hactl=False, settings=DEFAULTS),
        Variant(f"{PGAF}-tuned", "pg_auto_failover, tuned", hactl=False),
        Variant(f"{PGAF}-defaults", "pg_auto_failover, its defaults", hactl=False),
    )
}


def by_monitor(way: str) -> bool:
    """Whether it is pg_auto_failover, in a lab of its own."""
    return way.startswith(PGAF)


def case_of(name: str, way: str) -> Case:
    return (WITH_MONITOR if by_monitor(way) else WITH_ETCD)[name]
