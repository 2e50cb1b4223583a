"""Evidence for the fencing lease: what is frozen, killed or cut off serves nothing after its lease has ended.

A client with the old primary's hardware address asks it, whatever ARP says by then; the kernel's own view
of the lease is read from outside. The spec names no fence agents here: nothing but the lease protects.
Each case leaves a line in lease-evidence.jsonl, for docs/fencing.md.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from hactl.lab.faults import injected
from hactl.lab.lab import Lab
from tests.support import control
from tests.support.labs import Site
from tests.support.lease_watch import LeaseWatch
from tests.support.violation import Violation

HOLD = 8.0  # seconds that a fault lasts: more than two leases, less than Patroni's ttl
TOLERANCE = 0.1  # of our own look


@pytest.fixture(scope="module", autouse=True)
def _no_fence_agents(lab: Lab) -> Iterator[None]:
    with control.without_fence_agents(lab):
        yield


@dataclass(frozen=True)
class Case:
    """`hit` starts the fault and leaves its end on the stack.

    `renewed`: for how long after the fault the lease may still be renewed, in seconds; None: all the time.
    `address`: the old primary may keep the bare address for a while after another has taken it.
    """

    name: str
    hit: Callable[[Site, str, str, ExitStack], None]
    renewed: float | None = 0.5
    address: bool = False


def fault(*kinds: str, on: str = "primary") -> Callable[[Site, str, str, ExitStack], None]:
    def hit(site: Site, primary: str, standby: str, ending: ExitStack) -> None:
        for kind in kinds:
            ending.enter_context(injected(site.lab, kind, primary if on == "primary" else standby))

    return hit


def no_majority(site: Site, _primary: str, standby: str, ending: ExitStack) -> None:
    """The primary's own etcd lives, the two others are stopped."""
    (witness,) = site.lab.spec.witnesses
    for node in (witness, standby):
        ending.enter_context(injected(site.lab, "freeze-etcd", node))


def crash_with(kind: str) -> Callable[[Site, str, str, ExitStack], None]:
    """keepalived cannot give the address away, and PostgreSQL crashes: another node takes over."""

    def hit(site: Site, primary: str, standby: str, ending: ExitStack) -> None:
        fault(kind)(site, primary, standby, ending)
        site.lab.crash_postgres(primary)

    return hit


CRASH_SEEN = 4.0  # seconds; Patroni's next loop, on a busy machine
CASES = (
    Case("agent frozen", fault("freeze-agent"), renewed=None),  # systemd's watchdog starts another in time
    Case("agent killed, not restarted", fault("lose-agent")),
    Case(
        "keepalived frozen, then PostgreSQL killed", crash_with("freeze-keepalived"), CRASH_SEEN, address=True
    ),
    Case("keepalived killed, then PostgreSQL killed", crash_with("lose-keepalived"), CRASH_SEEN),
    Case("machine frozen and thawed", fault("freeze"), address=True),
    Case("machine cut from the network", fault("isolate")),
    Case("etcd without majority", no_majority),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_nothing_is_served_without_a_lease(site: Site, case: Case) -> None:
    primary, standby = site.primary, site.standby
    watch = LeaseWatch(site.lab, primary)
    session = site.session("lease-" + case.name.replace(" ", "-").replace(",", ""))
    with watch.watching(), session.running():
        time.sleep(1)
        with ExitStack() as ending:
            hit = session.fault(primary, lambda: case.hit(site, primary, standby, ending))
            time.sleep(HOLD)
            thaw = time.monotonic()
        session.acknowledged(3, within=90, since=thaw)
        site.healthy()
    line = evidence(watch, case, hit.begin, thaw)
    with (site.folder / "lease-evidence.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")
    findings = [f for f in session.verdict().findings if not (case.address and f.invariant == "I2")]
    unleased = watch.unleased(TOLERANCE)
    if findings or unleased:
        raise Violation(f"{findings} {watch.account(unleased, hit.begin, thaw)}")
    assert line["served_before"], "the watch saw nothing served at all"
    if case.renewed is not None:
        limit = site.lab.spec.fencing.lease.value + case.renewed + TOLERANCE
        assert line["lease_ended"] is not None
        assert line["lease_ended"] <= limit


def evidence(watch: LeaseWatch, case: Case, hit: float, thaw: float) -> dict[str, Any]:
    """Seconds after the fault, and counts. Only until the fault ends: then the node may lead again."""

    def since(moment: float | None) -> float | None:
        return None if moment is None else round(moment - hit, 3)

    return {
        "case": case.name,
        "victim": watch.node,
        "lease": watch.lab.spec.fencing.lease.value,
        "served_before": sum(t.ok for t in watch.tries if t.begin < hit),
        "lease_ended": since(watch.last_end(hit - 1, thaw)),
        "opened": since(watch.opened(hit, thaw)),
        "last_served": since(watch.last_served(hit - 1, thaw)),
        "address_gone": since(watch.address_gone(hit)),
        "fault_ended": since(thaw),
        "tries": len(watch.tries),
        "served_without_lease": len(watch.unleased(TOLERANCE)),
    }
