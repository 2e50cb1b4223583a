"""Faults on purpose: each is injected on entry and healed on exit, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hactl.errors import UsageError
from hactl.lab.lab import Lab

Act = Callable[[Lab, str], None]


@dataclass(frozen=True)
class Fault:
    """`heal` is None for what mends itself or is itself a mending."""

    inject: Act
    heal: Act | None


FAULTS: Final[dict[str, Fault]] = {
    "power-off": Fault(Lab.power_off, Lab.power_on),  # cut the power
    "power-on": Fault(Lab.power_on, None),  # switch on, wait until it can be logged into
    "isolate": Fault(Lab.isolate, Lab.join),  # pull its cables out of the switch; its BMC keeps its own
    "join": Fault(Lab.join, None),  # plug them in again
    "freeze": Fault(Lab.freeze, Lab.thaw),  # stop every process, as a hung hypervisor does
    "thaw": Fault(Lab.thaw, None),  # let them go on
    "crash-postgres": Fault(Lab.crash_postgres, None),  # kill the postmaster
}


def fault(kind: str) -> Fault:
    """Raises UsageError for a kind that there is not."""
    if kind not in FAULTS:
        raise UsageError(f"no fault {kind!r}", hint=f"one of: {', '.join(FAULTS)}")
    return FAULTS[kind]


@contextmanager
def injected(lab: Lab, kind: str, node: str) -> Iterator[None]:
    """The fault lasts as long as the block, also when the block ends by an error or by Ctrl-C."""
    chosen = fault(kind)
    try:
        chosen.inject(lab, node)
        yield
    finally:
        if chosen.heal:
            chosen.heal(lab, node)
