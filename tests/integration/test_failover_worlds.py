"""Many simulated worlds, new ones each time: a failure prints the fewest faults that lead to it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

from hactl.spec.model import ClusterSpec
from tests.support.failover import armed, bare
from tests.support.sim_faults import FAULTS, LOSSES
from tests.support.sim_machine import FailoverMachine
from tests.support.sim_world import World

TestManyFaults = FailoverMachine.TestCase
TestManyFaults.settings = settings(
    max_examples=60,
    stateful_step_count=8,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)

SPECS = [pytest.param(bare(), id="without fence agents"), pytest.param(armed(), id="with fence agents")]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_another_takes_over_when(loss: str, spec: ClusterSpec) -> None:
    world = World(spec)
    LOSSES[loss](world)
    world.advance(30)
    assert world.nodes["db2"].serves
    assert not world.nodes["db1"].serves
    world.heal()
    world.advance(45)
    world.check_converged()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("after", range(1, 12))
@pytest.mark.parametrize("fault", ["the active controller crashes", "the active controller freezes for 5 s"])
def test_a_controller_lost_after_any_step_is_replaced_by_one_that_goes_on(
    spec: ClusterSpec, after: int, fault: str
) -> None:
    world = World(spec)
    world.nodes["db1"].power_off()
    world.advance_until_acted(after)
    FAULTS[fault](world)
    world.advance(9)
    assert world.nodes["db2"].serves, world.last()
    assert len(world.releases) == 1
    world.heal()
    world.advance(45)
    world.check_converged()
