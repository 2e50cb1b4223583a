"""Archive nodes, a database and controllers that come and go, whatever happens in whatever order.

hactl never takes a node out that serves, never works on two at once, never acts on what it does not know,
keeps its hands off when paused, and brings back what a restart can bring back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hactl.decide.archive import ArchiveMemory, decide_archive
from hactl.decide.archive_ladder import LASTS, STARTS
from hactl.decide.archive_sql import Sql
from hactl.decide.plan import DrainArchive, GiveOrder, Step, UndrainArchive
from hactl.spec.load import load
from hactl.spec.model import ClusterSpec
from hactl.view.archive import ArchiveFacts, ArchiveState, Drain, DrainBy
from hactl.view.archive_levels import Answer, Sight
from hactl.view.control import Dcs, Order, OrderDone
from hactl.view.model import Probe, State
from tests.support.archives import NGINX, ORTHANC, ROUTES
from tests.support.keysview import agent, well
from tests.support.views import SAMPLE

OK, BAD = Probe(State.OK), Probe(State.FAILED, "no answer in time")
FOUND: Final = Probe(State.UNKNOWN, "not trusted")
NODES = ("arc1", "arc2", "arc3")
nodes = st.sampled_from(NODES)
RESTART_TAKES: Final = 3.0


def three() -> ClusterSpec:
    """The sample with a third archive node."""
    text = SAMPLE.read_text().replace(
        "  arc2:", "  arc3:\n    address: 192.0.2.23\n    roles: [archive]\n  arc2:", 1
    )
    return load(text, "three archive nodes")


@dataclass
class Node:
    """`hung`: until its service is restarted. `broken`: also then. `cut`: from the controllers only."""

    hung: bool = False
    broken: bool = False
    killed: bool = False
    cut: bool = False
    strange: bool = False
    silent: bool = False
    storage: bool = True
    back: float = 0.0
    lost: float = 0.0  # when something was last broken or mended: nobody can know at once
    sights: dict[str, Sight] = field(default_factory=dict)

    def serves(self, now: float) -> bool:
        return not (self.hung or self.broken or self.killed) and now >= self.back and self.storage


@dataclass(frozen=True)
class Done:
    node: str
    at: float
    what: str


class ArchiveWorld(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.spec = three()
        self.now, self.seq = 5000.0, 0
        self.nodes = {n: Node() for n in NODES}
        self.drains: dict[str, Drain] = {}
        self.orders: dict[str, tuple[Order, float]] = {}
        self.done: dict[str, OrderDone] = {}
        self.budget: list[tuple[str, str, float]] = []
        self.sql_since: float | None = 0.0
        self.lost_at = 0.0
        self.paused = False
        self.memory = ArchiveMemory()
        self.steps: list[Step] = []
        self.acted: list[Done] = []

    @initialize()
    def quiet(self) -> None:
        self.run(15)

    # What happens

    @rule(node=nodes)
    def hang(self, node: str) -> None:
        self.nodes[node].hung, self.nodes[node].lost = True, self.now

    @rule(node=nodes)
    def kill(self, node: str) -> None:
        self.nodes[node].killed, self.nodes[node].lost = True, self.now

    @rule(node=nodes, broken=st.booleans())
    def break_or_repair(self, node: str, broken: bool) -> None:  # noqa: FBT001
        self.nodes[node].broken, self.nodes[node].lost = broken, self.now

    @rule(node=nodes, cut=st.booleans())
    def cut(self, node: str, cut: bool) -> None:  # noqa: FBT001
        self.nodes[node].cut = cut

    @rule(node=nodes, strange=st.booleans())
    def certificate(self, node: str, strange: bool) -> None:  # noqa: FBT001
        self.nodes[node].strange = strange

    @rule(node=nodes, silent=st.booleans())
    def agent(self, node: str, silent: bool) -> None:  # noqa: FBT001
        self.nodes[node].silent = silent

    @rule(node=nodes, mounted=st.booleans())
    def storage(self, node: str, mounted: bool) -> None:  # noqa: FBT001
        self.nodes[node].storage, self.nodes[node].lost = mounted, self.now

    @rule(node=nodes)
    def operator_drains(self, node: str) -> None:
        self.drains[node] = Drain(node, DrainBy.OPERATOR, "new disk")

    @rule(node=nodes)
    def operator_undrains(self, node: str) -> None:
        self.drains.pop(node, None)

    @rule(hangs=st.booleans())
    def database_lost(self, hangs: bool) -> None:  # noqa: FBT001
        if self.sql_since is not None:
            self.sql_since, self.lost_at = None, self.now
        for node in self.nodes.values():
            node.hung = node.hung or hangs
            node.lost = self.now

    @rule()
    def database_back(self) -> None:
        if self.sql_since is None:
            self.sql_since = self.now
            for node in self.nodes.values():
                node.lost = self.now

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:  # noqa: FBT001
        self.paused = paused

    @rule()
    def another_controller(self) -> None:
        """It knows nothing but what is in etcd."""
        self.memory = ArchiveMemory()
        for node in self.nodes.values():
            node.sights = {}

    @rule(seconds=st.integers(1, 45))
    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.second()

    # The world's laws

    def second(self) -> None:
        self.now += 1
        self.seq += 1
        if self.seq % 2:
            for name in NODES:
                self.ask(name)
        for name, (order, at) in self.orders.items():
            if name not in self.done and self.now - at >= 1 and not self.nodes[name].silent:
                self.obey(order)
        decision = decide_archive(self.spec, self.sights(), self.dcs(), self.sql(), self.memory, self.now)
        self.memory, self.steps = decision.memory, list(decision.plan.steps)
        for step in self.steps:
            self.check(step)
            self.act(step)
        self.marks = decision.marks

    def ask(self, name: str) -> None:
        node = self.nodes[name]
        answers = self.answers(node)
        for route, answer in answers.items():
            before = node.sights.get(route)
            node.sights[route] = Sight.after(before, ROUTES[route], answer, at=self.now, until=self.now + 8)

    def answers(self, node: Node) -> dict[str, Answer]:
        if node.cut:
            return dict.fromkeys(ROUTES, Answer(BAD, reached=False))
        if node.strange:
            return dict.fromkeys(ROUTES, Answer(FOUND))
        found = dict.fromkeys(ROUTES, Answer(OK))
        if node.killed or self.now < node.back:
            found |= dict.fromkeys(("index", "now", "echo", "dicom"), Answer(BAD))
        if node.hung or node.broken or self.sql_since is None:
            found["index"] = Answer(BAD)
        return found

    def obey(self, order: Order) -> None:
        node = self.nodes[order.node]
        node.hung = node.killed = False
        node.back = self.now + RESTART_TAKES
        self.done[order.node] = OrderDone(order.node, order.id, ok=True)

    def dcs(self) -> Dcs:
        facts = {}
        for name, node in self.nodes.items():
            if node.silent:
                continue
            out = name in self.drains
            storage = OK if node.storage else BAD
            archive = ArchiveFacts(OK, OK, out=out, refusing=out)
            facts[name] = agent(
                name, seq=self.seq, storage=storage, archive=archive, vips=(),
                units={ORTHANC: "active", NGINX: "active"},
            )  # fmt: skip
        budget: dict[tuple[str, str], int] = {}
        for name, rung, at in self.budget:
            if self.now - at < 3600:
                budget[name, rung] = budget.get((name, rung), 0) + 1
        orders = {n: o for n, (o, at) in self.orders.items() if self.now - at < 75}
        return dataclasses.replace(
            well(), facts=facts, drains=dict(self.drains), orders=orders, done=dict(self.done),
            budget=budget, paused=self.paused,
        )  # fmt: skip

    def sql(self) -> Sql:
        if self.sql_since is None:
            return Sql(away_for=max(0.1, self.now - self.lost_at))
        return Sql(works_for=self.now - self.sql_since)

    def sights(self) -> Mapping[str, Mapping[str, Sight]]:
        return {name: dict(node.sights) for name, node in self.nodes.items()}

    def act(self, step: Step) -> None:
        action = step.action
        if isinstance(action, GiveOrder):
            self.orders[action.node] = (
                Order(action.node, f"o{self.seq}", action.verb, action.unit),
                self.now,
            )
            self.done.pop(action.node, None)
            self.budget.append((action.node, action.rung, self.now))
            self.acted.append(Done(action.node, self.now, action.verb))
        elif isinstance(action, DrainArchive):
            self.drains[action.node] = Drain(action.node, DrainBy.LADDER, action.why)
            self.budget.append((action.node, action.rung, self.now))
        elif isinstance(action, UndrainArchive):
            del self.drains[action.node]

    # What must hold, whenever something is done

    def check(self, step: Step) -> None:
        action = step.action
        assert isinstance(action, GiveOrder | DrainArchive | UndrainArchive)
        node = self.nodes[action.node]
        assert not self.paused, "paused means hands off"
        assert not node.silent or not isinstance(action, GiveOrder), "nobody is there to obey"
        if isinstance(action, UndrainArchive):
            assert self.drains[action.node].by is DrainBy.LADDER
            assert node.storage
            return
        assert action.node not in self.drains or self.drains[action.node].by is DrainBy.LADDER
        served = node.serves(self.now - 3) and self.now - node.lost > 3 and self.sql_since is not None
        assert not served, "who serves is left alone"
        known = [s for s in node.sights.values() if s.probe.failed and s.in_row >= 2]
        assert known or not node.storage, "no act on what is not known"
        if isinstance(action, GiveOrder):
            self.check_order(action, node)
        else:
            ladders = [n for n, d in self.drains.items() if d.by is DrainBy.LADDER]
            assert not ladders, "never two out by our own hand"
            takers = [self.nodes[t] for t in action.takers]
            able = [t for t in takers if t.serves(self.now) or self.now - t.lost <= 3]
            assert able or self.sql_since is None, "who is to take over can"
            assert not set(action.takers) & set(self.drains)

    def check_order(self, action: GiveOrder, node: Node) -> None:
        assert not node.cut
        assert node.storage, "what lies on the wrong disk is not started"
        assert self.sql_since is not None, "nobody is restarted for waiting for the database"
        assert self.now - self.sql_since >= LASTS, "nor before it has had time to notice"
        for other, (_, at) in self.orders.items():
            if other != action.node and self.now - at < RESTART_TAKES:
                raise AssertionError(f"{action.node} is restarted while {other} is on its way")

    @invariant()
    def within_the_budget(self) -> None:
        recent = [(n, r) for n, r, at in self.budget if self.now - at < 3600]
        for name in NODES:
            assert sum(n == name for n, _ in recent) <= 2 + 2 + 3 + 1
        self.acted = [d for d in self.acted if self.now - d.at < STARTS]

    def teardown(self) -> None:
        """Everything that a restart or a human can mend is mended, from wherever it was interrupted."""
        for node in self.nodes.values():
            node.broken = node.cut = node.strange = node.silent = False
            node.storage, node.lost = True, self.now
        self.paused = False
        self.sql_since = self.now if self.sql_since is None else self.sql_since
        for name in [n for n, d in self.drains.items() if d.by is DrainBy.OPERATOR]:
            del self.drains[name]
        self.budget = []
        self.run(240)
        assert not self.drains
        states = {n: m.state for n, m in self.marks.items()}
        assert set(states.values()) == {ArchiveState.HEALTHY}, states


ArchiveWorld.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # to make a failing world small takes minutes
)
test_archive_world = ArchiveWorld.TestCase
