"""The failover matrix: which faults, against which ways to run the pair."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from hactl.errors import StepFailed
from hactl.lab import faults
from hactl.lab.lab import Lab
from tests.support import control

PATRONI_TTL: Final = 60.0  # seconds; longer than any ttl here and all that comes after it
LOOKS: Final = 3  # a look in which not everybody answered in time is refused
# Patroni's own (patroni.validator, docs/dynamic_configuration.rst), instead of ours.
DEFAULTS: Final = {
    "ttl": 30,
    "loop_wait": 10,
    "retry_timeout": 10,
    "primary_start_timeout": 300,
    "primary_stop_timeout": 0,
}
PATRONICTL: Final = ("/opt/patroni/bin/patronictl", "-c", "/etc/patroni/hactl.yml")


@dataclass(frozen=True)
class Case:
    """`act` breaks it; `on` says which node is hit. The figure is the outage for new connections, or, where
    nothing need be lost (`stall`), the longest time without any acknowledged commit.

    `limit`: seconds after which "not at all" is the answer. `ours`: how hactl is asked for it, if it can be.
    `before`: what must be so when it strikes, brought about just before.
    """

    name: str
    what: str
    act: Callable[[Lab, str, str], None]  # lab, primary, standby
    on: str = "primary"
    stall: bool = False
    limit: float = PATRONI_TTL
    ours: Callable[[Lab, str, str], None] | None = None
    before: Callable[[Lab, str, str], None] | None = None


@dataclass(frozen=True)
class Variant:
    """How the pair is run. `fast`: in a lab whose spec has a lease below 3 s, else one of 3 s.

    `settings`: Patroni's, instead of ours.
    """

    name: str
    what: str
    hactl: bool
    bmc: bool = False
    settings: Mapping[str, int] | None = None
    fast: bool = False


def switch_over(lab: Lab, primary: str, standby: str) -> None:
    words = [lab.spec.cluster, "--leader", primary, "--candidate", standby, "--force"]
    lab.exec(primary, [*PATRONICTL, "switchover", *words], within=60)


def hactl_switch_over(lab: Lab, primary: str, standby: str) -> None:  # noqa: ARG001 - as every act
    """As an operator types it: it ends when the old primary follows. Raises StepFailed: refused each time."""
    for _ in range(LOOKS):
        try:
            control.hactl(lab, "switchover", "--yes", "--to", standby, "--reason", "benchmark", within=120)
        except subprocess.CalledProcessError as error:
            why = str(error.stderr).strip()
        else:
            return
    raise StepFailed(f"hactl switchover: {why}")


def _fault(kind: str) -> Callable[[Lab, str, str], None]:
    return lambda lab, primary, _: faults.fault(kind).inject(lab, primary)


CASES: Final = {
    case.name: case
    for case in (
        Case("host-loss", "primary's host loses power", _fault("power-off")),
        Case("isolate", "primary's host cut from the network", _fault("isolate")),
        Case("freeze", "primary's host frozen", _fault("freeze")),
        Case("crash", "postmaster killed", _fault("crash-postgres")),
        Case("freeze-postgres", "postmaster frozen", _fault("freeze-postgres"), limit=45),
        Case("stall-disk", "primary's data disk stalled", _fault("stall-disk"), limit=45),
        Case("switchover", "switchover", switch_over, stall=True, ours=hactl_switch_over),
        Case(
            "standby-loss", "standby's host loses power", lambda lab, _, s: lab.power_off(s), "standby", True
        ),
    )
}
VARIANTS: Final = {
    variant.name: variant
    for variant in (
        Variant("bmc", "hactl, BMC", hactl=True, bmc=True),
        Variant("no-bmc", "hactl, no BMC", hactl=True),
        Variant("fast", "hactl, no BMC, profile fast", hactl=True, fast=True),
        Variant("stopped", "Patroni alone, our settings", hactl=False),
        Variant("defaults", "Patroni alone, its defaults", hactl=False, settings=DEFAULTS),
    )
}
LOST: Final = ("host-loss", "isolate", "freeze")
# Seconds: design budgets, median and p99.
BUDGETS: Final = {
    ("host-loss", "bmc"): (2.0, 3.0),
    ("host-loss", "no-bmc"): (4.0, 5.5),
    ("isolate", "no-bmc"): (4.0, 5.5),
    ("freeze", "no-bmc"): (4.0, 5.5),
    **{(case, "fast"): (3.0, 3.0) for case in LOST},
    ("crash", "bmc"): (2.0, 3.0),
    ("freeze-postgres", "bmc"): (8.0, 8.0),
    ("stall-disk", "bmc"): (8.0, 8.0),
    ("switchover", "bmc"): (1.2, 2.0),
    ("standby-loss", "bmc"): (2.5, 2.5),
}
# Where a BMC, or the lease's length, makes no difference it is measured once.
PLAN: Final = tuple(
    (case, variant)
    for case in CASES
    for variant in VARIANTS
    if variant not in {"no-bmc", "fast"} or case in LOST
)
