"""An archive node out of the archive VIP and in again, while a deployment restarts what serves there."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hactl.act import archive_turn
from hactl.act.archive_turn import Turns, turns
from hactl.act.maintenance import Operator
from hactl.decide.archive_turn import before_restart
from hactl.errors import Refused, StepFailed, Unreachable
from hactl.view.archive import ArchiveFacts, Drain, DrainBy
from hactl.view.cluster import ClusterView
from hactl.view.control import Dcs
from hactl.view.keys import Keys
from hactl.view.parse.agent_facts import facts_text
from hactl.view.parse.archive import drain_text, parse_drain
from tests.fakes.etcd import FakeClock, FakeEtcd
from tests.support.keysview import keys_with
from tests.support.nodes import WELL, keys_of, with_keys, world
from tests.support.views import Change, agent, archive_lost, demo_spec

SPEC, KEYS = demo_spec(), Keys("demo")
DEPLOY = Drain("arc1", DrainBy.DEPLOY, "deploy")


def drained(*drains: Drain) -> ClusterView:
    return world(dcs=(keys_with(drains={d.node: d for d in drains}),))


def silent(node: str) -> Any:
    def change(dcs: Dcs) -> Dcs:
        return dataclasses.replace(dcs, facts={n: f for n, f in dcs.facts.items() if n != node})

    return change


def one_archive() -> Any:
    left = {n: v for n, v in SPEC.nodes.items() if n != "arc2"}
    return SPEC.model_copy(update={"nodes": left})


def test_who_serves_is_drained_while_another_one_can_take_over() -> None:
    assert before_restart(SPEC, world(), "arc1").drain


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (drained(dataclasses.replace(DEPLOY, by=DrainBy.OPERATOR)), "drained by operator, and stays so"),
        (world(archive_lost("arc1")), "does not serve"),
    ],
)
def test_who_is_out_or_serves_nobody_is_left_as_it_is(view: ClusterView, why: str) -> None:
    turn = before_restart(SPEC, view, "arc1")
    assert not turn.drain
    assert turn.veto is None
    assert why in turn.why


def test_the_only_one_is_restarted_and_clients_wait() -> None:
    turn = before_restart(one_archive(), world(), "arc1")
    assert (turn.drain, turn.veto) == (False, None)
    assert "only archive node" in turn.why


@pytest.mark.parametrize(
    ("view", "code"),
    [
        (world(archive_lost("arc2")), "NO_OTHER_ARCHIVE"),
        (drained(dataclasses.replace(DEPLOY, node="arc2", by=DrainBy.OPERATOR)), "NO_OTHER_ARCHIVE"),
        (world(dcs=(silent("arc1"),)), "AGENT_SILENT"),
    ],
)
def test_who_cannot_be_spared_is_not_touched(view: ClusterView, code: str) -> None:
    veto = before_restart(SPEC, view, "arc1").veto
    assert veto is not None
    assert veto.code == code


def test_what_a_deployment_left_drained_is_its_turn_again() -> None:
    assert before_restart(SPEC, drained(DEPLOY), "arc1").drain


class World:
    """etcd in memory; agents obey drains at each look at the clock."""

    def __init__(self, *changes: Change) -> None:
        self.clock = FakeClock()
        self.etcd = FakeEtcd(self.clock)
        self.changes, self.obeys = changes, True
        self.told: list[str] = []
        who = Operator(self.etcd.client(), KEYS, self, "operator anna", "desk")
        self.turns = Turns(SPEC, who, self.look, self.told.append)
        self._agents()

    def wall(self) -> float:
        return self.clock.wall()

    def monotonic(self) -> float:
        self.clock.forward(0.5)
        self._agents()
        return self.clock.monotonic()

    def _agents(self) -> None:
        for name in ("arc1", "arc2"):
            out = self.obeys and self.etcd.value(KEYS.archive_drain(name)) is not None
            facts = agent(name, storage=WELL, archive=ArchiveFacts(room=WELL, write=WELL, out=out), vips=())
            self.etcd.put(KEYS.facts(name), facts_text(facts))

    def look(self, _: str) -> ClusterView:
        texts = {n: self.etcd.value(KEYS.archive_drain(n)) for n in ("arc1", "arc2")}
        drains = {n: parse_drain(n, text) for n, text in texts.items() if text}
        return world(with_keys(keys_of(keys_with(drains=drains))), *self.changes)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_turn, "POLL", 0.0)


def drain_of(found: World, node: str) -> Drain | None:
    text = found.etcd.value(KEYS.archive_drain(node))
    return parse_drain(node, text) if text else None


def test_out_and_in_again() -> None:
    found = World()
    assert found.turns.out("arc1")
    drain = drain_of(found, "arc1")
    assert drain is not None
    assert (drain.by, drain.force) == (DrainBy.DEPLOY, False)
    assert found.turns.back("arc1")
    assert drain_of(found, "arc1") is None
    assert found.told == ["arc1 is drained", "arc1 may hold the archive VIP again"]


def test_never_two_at_once() -> None:
    found = World()
    found.turns.out("arc1")
    with pytest.raises(StepFailed, match="no other archive node can take over"):
        found.turns.out("arc2")
    assert drain_of(found, "arc2") is None


def test_nor_when_somebody_drains_the_other_in_between() -> None:
    found = World()
    turn = found.turns._turn("arc1")
    assert turn.drain
    other = dataclasses.replace(DEPLOY, node="arc2", by=DrainBy.OPERATOR)
    found.etcd.put(KEYS.archive_drain("arc2"), drain_text(other))
    with pytest.raises(Refused):
        found.turns._drain("arc1")


def test_who_does_not_get_out_in_time_is_not_restarted() -> None:
    found = World()
    found.obeys = False
    with pytest.raises(StepFailed, match="still has the archive VIP"):
        found.turns.out("arc1")


def test_where_nobody_can_look_nothing_is_restarted() -> None:
    found = World()

    def blind(_node: str) -> ClusterView:
        raise Unreachable("no route")

    found.turns.look = blind
    with pytest.raises(StepFailed, match="nobody could look"):
        found.turns.out("arc1")


def test_forced_it_is_restarted_all_the_same() -> None:
    found = World(archive_lost("arc2"))
    with pytest.raises(StepFailed):
        found.turns.out("arc1")
    found.turns.force = True
    assert not found.turns.out("arc1")
    assert "--force" in found.told[-1]


def test_who_does_not_serve_afterwards_stays_out_and_it_is_said() -> None:
    found = World()
    with turns(found.turns):
        found.turns.out("arc1")
        found.changes = (archive_lost("arc1"),)
        with pytest.raises(StepFailed, match="arc1 does not serve"):
            found.turns.back("arc1")
    assert drain_of(found, "arc1") is not None
    assert "arc1 stays drained" in found.told[-1]
    assert "hactl archive undrain arc1" in found.told[-1]


def test_an_interrupted_deployment_lets_in_who_serves() -> None:
    found = World()

    def interrupted() -> None:
        with turns(found.turns):
            found.turns.out("arc1")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert drain_of(found, "arc1") is None


def test_a_killed_one_s_drain_is_ended_by_the_next_and_nobody_else_s() -> None:
    found = World()
    found.etcd.put(KEYS.archive_drain("arc1"), drain_text(DEPLOY))
    with turns(found.turns):
        pass
    assert drain_of(found, "arc1") is None
    found.etcd.put(KEYS.archive_drain("arc1"), drain_text(dataclasses.replace(DEPLOY, by=DrainBy.OPERATOR)))
    with turns(found.turns):
        assert not found.turns.back("arc1")
    assert drain_of(found, "arc1") is not None
