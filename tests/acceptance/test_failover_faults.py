"""hactl's own failover: each way to lose the primary, with and without a fence device.

The limits are bounds for correctness on a busy machine: what it really takes is measured by tests/bench.
"""

from __future__ import annotations

import pytest

from hactl.lab import faults
from tests.support import control
from tests.support.failovers import Failover, fail_over, whole_story
from tests.support.labs import Site

LIMIT = 10.0  # seconds; Patroni alone needs more than 20


def broken(site: Site, kind: str, name: str) -> Failover:
    done = fail_over(site, name, lambda node: faults.fault(kind).inject(site.lab, node), limit=LIMIT)
    control.hactl(site.lab, "journal", "verify")
    return done


def proof_of(done: Failover) -> str:
    return str(next(p["evidence"] for p in done.incident["phases"] if p["phase"] == "proof"))


@pytest.mark.parametrize("kind", ["isolate", "freeze"])
def test_a_silent_host_is_powered_off_before_another_takes_over(site: Site, kind: str) -> None:
    done = broken(site, kind, f"bmc-{kind}")
    whole_story(done)
    assert "off" in proof_of(done)


@pytest.mark.parametrize("kind", ["power-off", "freeze"])
def test_without_a_fence_device_the_leases_end_is_the_proof(site: Site, kind: str) -> None:
    with control.without_fence_agents(site.lab):
        done = broken(site, kind, f"lease-{kind}")
    whole_story(done)
    assert "lease" in proof_of(done)


def test_the_active_controller_dies_during_a_failover(site: Site) -> None:
    """Another takes over from etcd and finishes, well before Patroni alone would."""
    active = control.active_controller(site.lab)
    assert active != site.primary, "a controller beside the primary would die with it"
    done = fail_over(
        site, "controller-killed", site.lab.power_off, limit=LIMIT + 6, meanwhile=lambda: kill(site, active)
    )
    whole_story(done, unwritten=("proof", "primed", "released"))
    control.hactl(site.lab, "journal", "verify")


def kill(site: Site, node: str) -> None:
    """When the failover has begun: an intent stands."""
    for _ in range(100):
        if control.etcdctl(site.lab, "get", "--keys-only", "--prefix", control.own(site.lab, "fence/")):
            break
    faults.fault("kill-controller").inject(site.lab, node)
