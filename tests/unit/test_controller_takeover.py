"""The active controller is killed at every call of etcd that a failover makes; another one finishes it."""

from __future__ import annotations

import json

import pytest

from tests.support.takeover import KEYS, STANDBY, VICTIM, Seat, World, run


def _warm() -> tuple[World, Seat, Seat]:
    world = World()
    first, second = Seat(world, "wit1"), Seat(world, "db2")
    first.turn()
    for _ in range(30):
        first.turn()
        second.turn()
        world.forward()
    assert first.election.claim()
    assert not second.election.claim()
    return world, first, second


def _over(world: World) -> bool:
    return world.etcd.value(KEYS.incident) is None and world.etcd.value(KEYS.leader) == STANDBY


def _finish(world: World, seats: tuple[Seat, ...]) -> None:
    run(world, seats, until=lambda: world.etcd.value(KEYS.leader) == STANDBY)
    for _ in range(20):
        for seat in seats:
            seat.turn()
        world.forward()
    world.come_back()
    run(world, seats, until=lambda: _over(world))


def _changes_of_a_failover() -> list[int]:
    """Which calls of etcd change something. To be killed at a read is to be killed before the next change."""
    world, first, second = _warm()
    before = len(first.kv.done)
    world.lose()
    _finish(world, (first, second))
    calls = first.kv.done[before:]
    return [n for n, name in enumerate(calls, 1) if name in {"txn", "grant", "journal"}]


def test_a_lost_primary_is_replaced_and_the_incident_closed() -> None:
    world, first, second = _warm()
    world.lose()
    run(world, (first, second), until=lambda: world.etcd.value(KEYS.leader) == STANDBY)
    assert world.clock.now - (world.lost_at or 0) < 3
    _finish(world, (first, second))
    assert world.power_cuts == [1]
    assert world.releases == 1
    assert world.etcd.value(KEYS.fence(VICTIM)) is None
    assert world.etcd.value(KEYS.prime(STANDBY)) is None
    closed = [r for r in world.journal if r["kind"] == "result" and r["action"] == "close-incident"]
    phases = [s["phase"] for s in closed[0]["data"]["incident"]["stamps"]]
    assert phases == [
        "suspected", "intent", "proof", "primed", "released", "promoted", "vip-up", "first-commit",
        "redundancy-restored",
    ]  # fmt: skip


def test_every_act_has_an_intent_before_and_a_result_after() -> None:
    world, first, second = _warm()
    world.lose()
    _finish(world, (first, second))
    intents = [n for n, r in enumerate(world.journal, 1) if r["kind"] == "intent"]
    results = {r["of"]: n for n, r in enumerate(world.journal, 1) if r["kind"] == "result"}
    assert intents
    assert all(results[n] > n for n in intents)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", _changes_of_a_failover())
def test_killed_at_any_call_another_controller_ends_it(call: int, *, after: bool) -> None:
    world, first, second = _warm()
    first.kv.kill_at, first.kv.after = first.kv.calls + call, after
    world.lose()
    _finish(world, (first, second))
    run(world, (second,), until=lambda: second.election.claim() is not None, within=4)
    assert first.dead
    assert world.releases == 1
    assert world.etcd.value(KEYS.fence(VICTIM)) is None
    assert len([k for k in world.etcd.pairs if "/recent/failover/" in k]) == 1
    assert {"intent", "proof", "released", "promoted", "first-commit"} <= _told(world)


def _told(world: World) -> set[str]:
    """The phases in the journal. Who is killed while closing the incident leaves marks and release."""
    told = {"intent"}
    for record in world.journal:
        data = record["data"] or {}
        if record["kind"] == "result":
            incident = data.get("incident", {})
            told |= {stamp["phase"] for stamp in (*data.get("stamps", ()), *incident.get("stamps", ()))}
        elif record["action"] == "mark":
            told.add(data["phase"])
    return told


def test_two_at_once_and_only_one_acts() -> None:
    """The first one is frozen in the middle of a step, and goes on when another one is active."""
    world, first, second = _warm()
    world.lose()
    run(world, (first,), until=lambda: world.etcd.value(KEYS.fence(VICTIM)) is not None)
    fence = world.etcd.value(KEYS.fence(VICTIM))
    run(world, (second,), until=lambda: world.etcd.value(KEYS.leader) == STANDBY)
    written = dict(world.etcd.pairs)
    before = len(world.journal)
    first.fast.round()  # thawed: it decides from what it knew
    assert world.etcd.pairs == written
    assert len(world.journal) == before
    assert json.loads(fence or "{}")["by"] == "wit1"


def test_a_lease_lost_within_a_step_fails_that_steps_transaction() -> None:
    world, first, _ = _warm()
    world.lose()
    for _ in range(9):
        first.turn()
        world.forward()
    assert world.etcd.value(KEYS.fence(VICTIM)) is None

    def stolen() -> None:
        world.etcd.before_txn = None
        world.etcd.put(KEYS.controller, '{"node":"db2"}')

    stealing = False
    while world.etcd.value(KEYS.controller) != '{"node":"db2"}':
        held = first.kv.calls
        first.mirror.look()
        first._probe()
        if not stealing and held:
            world.etcd.before_txn = stolen
            stealing = True
        first.fast.round()
        world.forward(0.05)
    assert world.etcd.value(KEYS.fence(VICTIM)) is None
    assert world.etcd.value(KEYS.incident) is None
    assert world.power_cuts == []
