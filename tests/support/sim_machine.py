"""Faults in any order and at any moment, on the simulated world; then everything heals and must converge."""

from __future__ import annotations

from typing import ClassVar

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from hactl.spec.model import ClusterSpec
from tests.support.failover import armed, bare
from tests.support.sim_world import HOSTS, World

DATABASES = st.sampled_from(["db1", "db2"])
PAIRS = st.tuples(st.sampled_from(HOSTS), st.sampled_from(HOSTS)).filter(lambda p: p[0] != p[1])
CONTROLLERS = st.sampled_from(["wit1", "db2"])


class FailoverMachine(RuleBasedStateMachine):
    """Each rule is one fault or one healing; between them time goes on by ticks of 0.1 s."""

    specs: ClassVar[tuple[ClusterSpec, ...]] = (bare(), armed())

    @initialize(spec=st.sampled_from(specs), bmc=st.booleans(), seconds=st.integers(0, 20))
    def begin(self, spec: ClusterSpec, seconds: int, *, bmc: bool) -> None:
        self.world = World(spec)
        self.world.bmc_works = bmc
        self.world.advance(seconds / 10)

    @rule(ticks=st.integers(1, 12))
    def a_moment(self, ticks: int) -> None:
        self.world.advance(ticks / 10)

    @rule(seconds=st.sampled_from([2, 3, 4, 6, 10, 25, 40]))
    def a_while(self, seconds: int) -> None:
        self.world.advance(seconds)

    @rule(node=DATABASES)
    def power_off(self, node: str) -> None:
        self.world.nodes[node].power_off()

    @rule(node=DATABASES)
    def power_on(self, node: str) -> None:
        self.world.nodes[node].power_on()

    @rule(node=DATABASES)
    def freeze(self, node: str) -> None:
        self.world.nodes[node].frozen = self.world.nodes[node].on

    @rule(node=DATABASES)
    def thaw(self, node: str) -> None:
        self.world.nodes[node].frozen = False

    @rule(pair=PAIRS)
    def cut(self, pair: tuple[str, str]) -> None:
        self.world.cut |= {pair, (pair[1], pair[0])}

    @rule(pair=PAIRS)
    def cut_one_way(self, pair: tuple[str, str]) -> None:
        self.world.cut.add(pair)

    @rule(host=st.sampled_from(HOSTS))
    def isolate(self, host: str) -> None:
        self.world.cut |= {p for o in HOSTS if o != host for p in ((host, o), (o, host))}

    @rule()
    def join(self) -> None:
        self.world.cut.clear()

    @rule(node=DATABASES)
    def crash_postgres(self, node: str) -> None:
        if self.world.nodes[node].runs:
            self.world.nodes[node].pg = "stopped"

    @rule(node=DATABASES, frozen=st.booleans())
    def freeze_or_thaw_patroni(self, node: str, *, frozen: bool) -> None:
        self.world.nodes[node].patroni_frozen = frozen

    @rule(node=DATABASES)
    def kill_agent(self, node: str) -> None:
        """systemd starts it again."""
        it = self.world.nodes[node]
        if it.runs and it.agent:
            it.agent, it.agent_restart = False, self.world.now + 0.3

    @rule(node=DATABASES)
    def disable_agent(self, node: str) -> None:
        """Its last act is to go into mode open, if etcd lets it."""
        it = self.world.nodes[node]
        if it.runs:
            it.agent, it.agent_disabled, it.agent_restart, it.agent_next = False, True, None, self.world.now
            it.open_lease()

    @rule(node=DATABASES)
    def enable_agent(self, node: str) -> None:
        it = self.world.nodes[node]
        if it.runs and not it.agent:
            it.start_agent()

    @rule(name=CONTROLLERS)
    def crash_controller(self, name: str) -> None:
        self.world.controllers[name].crash()

    @rule(name=CONTROLLERS)
    def start_controller(self, name: str) -> None:
        self.world.controllers[name].start()

    @rule(name=CONTROLLERS, frozen=st.booleans())
    def freeze_or_thaw_controller(self, name: str, *, frozen: bool) -> None:
        self.world.controllers[name].frozen = frozen

    @rule(name=CONTROLLERS, n=st.integers(1, 3))
    def late_looks(self, name: str, n: int) -> None:
        self.world.controllers[name].slow_looks = n

    @rule(on=st.booleans())
    def witness(self, *, on: bool) -> None:
        self.world.witness_on = on

    @rule()
    def pause(self) -> None:
        self.world.etcd.put("paused", "by the test")

    @rule()
    def resume(self) -> None:
        self.world.etcd.keys.pop("paused", None)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.heal()
            self.world.advance(130)
            self.world.check_converged()
