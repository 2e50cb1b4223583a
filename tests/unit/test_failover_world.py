"""No order of faults makes the failover unsafe, and whatever happened, it converges once all is healed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from hactl.spec.model import ClusterSpec
from hactl.view.control import ProofKind
from tests.support.failover import armed, bare
from tests.support.sim_machine import FailoverMachine
from tests.support.sim_world import World

# A handful here, the same ones each time; tests/integration/test_failover_worlds.py looks for new ones.
TestFaults = FailoverMachine.TestCase
TestFaults.settings = settings(
    max_examples=5,
    stateful_step_count=4,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize(
    ("spec", "proof", "within"),
    [
        pytest.param(bare(), ProofKind.LEASE_EXPIRED, 3.6, id="by its lease, which runs out"),
        pytest.param(armed(), ProofKind.POWER_OFF, 2.1, id="by its power, which is read as off"),
    ],
)
def test_a_lost_primary_is_proved_silent(spec: ClusterSpec, proof: ProofKind, within: float) -> None:
    world = World(spec)
    start = world.now
    world.nodes["db1"].power_off()
    world.advance(15)
    (released,) = world.releases
    assert released[1].kind is proof
    assert released[0] - start <= within
    assert world.nodes["db2"].serves
    world.heal()
    world.advance(30)
    world.check_converged()
