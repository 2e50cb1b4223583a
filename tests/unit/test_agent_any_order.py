"""The agent's loop, whatever happens in whatever order."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hactl.agent.lease import APPLY_WITHIN
from hactl.decide.limits import MARGIN
from hactl.decide.vetoes import lease_gap
from hactl.view.parse.control import parse_look
from tests.support.agent_world import KEYS, L, World


class AnyOrder(RuleBasedStateMachine):
    """Whatever happens in whatever order: nothing passes later than a lease after etcd last allowed it."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.allowed = -1e9
        self.renewal = (0, 0.0)

    def may(self) -> bool:
        return (
            self.world.etcd.quorum()
            and self.world.etcd.value(KEYS.leader) == "db1"
            and self.world.etcd.value(KEYS.fence("db1")) is None
        )

    @rule()
    def all_is_well(self) -> None:
        """Without this it would hardly ever serve: most of what else happens ends that."""
        self.etcd_comes()
        self.etcd_has_space()
        self.an_intent_goes()
        self.patroni(200)
        self.world.lease.slow = []
        if self.world.etcd.value(KEYS.leader) != "db1":
            self.a_leader("db1")
        self.a_quiet_while(3)

    @rule(rounds=st.integers(2, 9))
    def a_quiet_while(self, rounds: int) -> None:
        for _ in range(rounds):
            self.a_round(0.5)
            self.where_the_end_of_the_last_renewal_seen_is_a_proof_nothing_outlives_it()

    @rule(pause=st.sampled_from([0.02, 0.5, 0.9, 1.4]))
    def a_round(self, pause: float) -> None:
        may, at = self.may(), self.world.clocks.boottime() + pause
        self.world.round(pause)
        if may:
            self.allowed = at
        elif self.world.etcd.quorum():
            assert not self.world.lease.passes()
            assert not self.world.notes.may
        if self.world.notes.may:
            assert self.world.lease.passes()

    @rule(node=st.sampled_from(["db1", "db2"]))
    def a_leader(self, node: str) -> None:
        self.world.lead(node)

    @rule()
    def an_intent(self) -> None:
        self.world.fence()

    @rule()
    def an_intent_goes(self) -> None:
        self.world.etcd.delete(KEYS.fence("db1"))

    @rule(answer=st.sampled_from([200, 503, 0]))
    def patroni(self, answer: int) -> None:
        self.world.patroni = answer

    @rule()
    def etcd_goes(self) -> None:
        self.world.lose_etcd()

    @rule()
    def etcd_comes(self) -> None:
        self.world.etcd.heal()

    @rule()
    def etcd_is_full(self) -> None:
        self.world.etcd.full = True

    @rule()
    def etcd_has_space(self) -> None:
        self.world.etcd.full = False

    @rule(slow=st.lists(st.sampled_from([0.01, 0.15, 0.4, 2.0]), max_size=3))
    def a_busy_kernel(self, slow: list[float]) -> None:
        self.world.lease.slow = slow

    @rule(seconds=st.sampled_from([0.3, 2.0, 30.0]))
    def nobody_runs(self, seconds: float) -> None:
        self.world.clocks.now += seconds

    @rule()
    def a_new_process(self) -> None:
        self.world.start()

    @precondition(lambda self: self.world.notes.may)
    @rule()
    def keepalived_takes_the_address(self) -> None:
        self.world.vip.present = True

    @invariant()
    def where_the_end_of_the_last_renewal_seen_is_a_proof_nothing_outlives_it(self) -> None:
        if not self.world.etcd.quorum():
            return
        dcs = parse_look(KEYS, self.world.etcd.client().ranges(KEYS.look(), within=1))
        now, alive = self.world.clocks.boottime(), dcs.alive.get("db1")
        if alive is not None and alive.mod_revision != self.renewal[0]:
            self.renewal = (alive.mod_revision, now)
        if not lease_gap(dcs, "db1") and self.world.lease.passes():
            assert now <= self.renewal[1] + L + MARGIN

    @invariant()
    def nothing_outlives_what_allowed_it(self) -> None:
        if self.world.lease.passes():
            assert self.world.clocks.boottime() <= self.allowed + L + APPLY_WITHIN + 0.001


TestAnyOrder = AnyOrder.TestCase
