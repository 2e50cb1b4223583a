"""Faults in any order and at any moment, on the simulated world; then everything heals and must converge."""

from __future__ import annotations

from typing import ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from hactl.spec.model import ClusterSpec
from tests.support.failover import armed, bare
from tests.support.sim_faults import FAULTS, LOSSES
from tests.support.sim_world import World

MOMENTS = st.integers(0, 12)  # tenths of a second
FENCED = 10.0  # seconds in which an intent of the last moment may still cut somebody's power
CALM = 45.0  # seconds after which a healed world must have converged


class FailoverMachine(RuleBasedStateMachine):
    """Each rule is one fault or one healing; between them time goes on by ticks of 0.1 s."""

    specs: ClassVar[tuple[ClusterSpec, ...]] = (bare(), armed())

    @initialize(spec=st.sampled_from(specs), bmc=st.booleans(), ticks=MOMENTS)
    def begin(self, spec: ClusterSpec, ticks: int, *, bmc: bool) -> None:
        self.world = World(spec)
        self.world.bmc_works = bmc
        self.world.advance(ticks / 10)

    @rule(name=st.sampled_from(sorted(FAULTS)), ticks=MOMENTS)
    def fault(self, name: str, ticks: int) -> None:
        FAULTS[name](self.world)
        self.world.advance(ticks / 10)

    @rule(
        before=st.lists(st.sampled_from(sorted(FAULTS)), max_size=2),
        loss=st.sampled_from(sorted(LOSSES)),
        more=st.lists(st.tuples(MOMENTS, st.sampled_from(sorted(FAULTS))), max_size=4),
        bmc=st.booleans(),
    )
    def the_primary_is_lost(
        self, before: list[str], loss: str, more: list[tuple[int, str]], *, bmc: bool
    ) -> None:
        """From a healthy pair, or nearly, and further faults while the failover is under way."""
        self.converge()
        self.world.bmc_works = bmc
        for name in before:
            FAULTS[name](self.world)
            self.world.advance(0.6)
        LOSSES[loss](self.world)
        self.world.advance(0.7)
        for ticks, name in more:
            self.world.advance(ticks / 10)
            FAULTS[name](self.world)
        self.world.advance(4.0)

    @rule(seconds=st.sampled_from([2, 3, 4, 6, 10, 25, 40]))
    def a_while(self, seconds: int) -> None:
        self.world.advance(seconds)

    def converge(self) -> None:
        self.world.heal()
        self.world.advance(FENCED)
        for node in self.world.nodes.values():
            node.power_on()  # an operator's part: what a controller cut just before it died
        self.world.advance(CALM)
        self.world.check_converged()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.converge()
