"""No order of faults makes the failover unsafe, and whatever happened, it converges once all is healed."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from hactl.spec.model import ClusterSpec
from hactl.view.control import ProofKind
from tests.support.failover import armed, bare
from tests.support.sim_faults import FAULTS, LOSSES, disable_agent
from tests.support.sim_machine import FailoverMachine
from tests.support.sim_world import World

# A handful here, the same ones each time; tests/integration/test_failover_worlds.py looks for new ones.
TestFaults = FailoverMachine.TestCase
TestFaults.settings = settings(
    max_examples=5,
    stateful_step_count=3,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def converges(world: World, seconds: float = 25.0) -> None:
    world.heal()
    world.advance(seconds)
    world.check_converged()


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
    world.advance(6)
    (released,) = world.releases
    assert released[1].kind is proof
    assert released[0] - start <= within
    assert world.nodes["db2"].serves
    converges(world)


@pytest.mark.parametrize("after", range(1, 11))
def test_a_controller_killed_after_any_step_is_replaced_by_one_that_goes_on(after: int) -> None:
    world = World(bare() if after % 2 else armed())
    world.nodes["db1"].power_off()
    world.advance_until_acted(after)
    FAULTS["the active controller crashes"](world)
    world.advance(9)
    assert world.nodes["db2"].serves, world.last()
    assert len(world.releases) == 1
    converges(world)


def test_a_node_in_mode_open_is_left_to_patroni() -> None:
    world = World(bare())
    disable_agent(world.nodes["db1"])
    world.advance(1)
    LOSSES["its power fails"](world)
    world.advance(10)
    assert world.releases == []
    assert world.etcd.get("leader") == "db1"
    world.advance(20)
    assert world.nodes["db2"].serves
    converges(world)


def test_paused_means_hands_off() -> None:
    world = World(armed())
    FAULTS["paused"](world)
    world.advance(1)
    LOSSES["its power fails"](world)
    world.advance(15)
    assert world.acts == []
    converges(world)


def test_a_pause_in_the_middle_gives_the_primary_back() -> None:
    world = World(bare())
    LOSSES["it is cut off"](world)
    world.advance(1.6)
    assert world.etcd.below("fence/")
    FAULTS["paused"](world)
    world.advance(1)
    assert not world.etcd.below("fence/")
    FAULTS["network: it heals"](world)
    world.advance(2)
    assert world.nodes["db1"].serves
    assert world.releases == []


def test_a_short_cut_costs_no_failover() -> None:
    world = World(bare())
    LOSSES["it is cut off"](world)
    world.advance(1.6)
    FAULTS["network: it heals"](world)
    converges(world)
    assert world.etcd.get("epoch") == 1, "an intent was set"


def test_a_cut_between_the_database_nodes_costs_no_failover() -> None:
    world = World(armed())
    FAULTS["network: the database nodes part"](world)
    world.advance(15)
    assert not [a for a in world.acts if a[2] == "OpenIncident"]
    assert world.nodes["db1"].serves
    converges(world)
