"""What the agent does for the controller's keys, in a world from memory."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from hactl.agent.obey import Act, Fence, Intent, Refusal, Refuse, RunAct, Unfence
from hactl.agent.ports import RootActs
from hactl.errors import StepFailed
from tests.support.agent_world import KEYS, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def holder(world: World) -> World:
    return world.serve()


def test_a_fence_is_obeyed_and_reported_only_when_shut_and_stopped(holder: World) -> None:
    holder.fence()
    holder.round()
    assert not holder.lease.passes()
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == ["fence"]
    assert json.loads(holder.etcd.value(KEYS.fenced("db1")) or "") == {
        "boot": "boot", "epoch": 7, "postgres": "stopped",
    }  # fmt: skip
    assert holder.notes.fence_noted
    holder.etcd.delete(KEYS.fence("db1"))
    holder.hands.do(Unfence())
    assert holder.acts.done == ["fence", "unfence"]
    assert not holder.notes.fence_noted


def test_who_is_gone_for_a_moment_is_not_fenced_yet(holder: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd did not take the order to stop Patroni, and will start it again."""
    monkeypatch.setattr(holder.hands._stop, "wait", lambda _: False)
    holder.fence()
    holder.round()
    holder.acts.fails = 1
    reported: list[object] = []
    holder.acts.then = lambda _: reported.append(holder.etcd.value(KEYS.fenced("db1")))
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == ["fence", "fence"]
    assert reported == [None]
    assert holder.etcd.value(KEYS.fenced("db1")) is not None


def test_a_disk_that_takes_no_file_does_not_keep_a_node_from_being_fenced(
    holder: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*, fenced: bool) -> None:
        raise StepFailed(f"no space left for {fenced}")

    monkeypatch.setattr(holder.notes, "note_fenced", refused)
    holder.fence()
    holder.round()
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == ["fence"]
    assert holder.etcd.value(KEYS.fenced("db1")) is not None


def test_an_order_that_waited_does_not_start_what_a_fence_has_stopped(holder: World) -> None:
    holder.fence()
    holder.hands.do(RunAct(Act("x", "restart", "patroni.service")))
    assert holder.acts.done == []
    assert json.loads(holder.etcd.value(KEYS.done("db1")) or "")["ok"] is False


def test_an_intent_that_is_withdrawn_meanwhile_stops_nothing(holder: World) -> None:
    holder.hands.do(Fence(Intent(7, json.dumps({"epoch": 7}))))
    assert holder.acts.done == []
    assert holder.etcd.value(KEYS.fenced("db1")) is None


def test_unfencing_is_tried_until_it_is_done(holder: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hactl.agent.hands.UNFENCE_PAUSES", (0.001,))
    holder.notes.fence_noted = True
    holder.acts.fails = 12
    holder.hands.do(Unfence())
    assert holder.acts.done == ["unfence"] * 13
    assert not holder.notes.fence_noted


def test_a_new_fence_does_not_wait_behind_an_unfencing_that_fails(holder: World) -> None:
    holder.acts.fails = 1
    refused = holder.acts.act

    def act(verb: str, unit: str = "", *, within: float) -> str:
        if verb == "unfence":
            holder.fence()
            holder.round()
        return refused(verb, unit, within=within)

    holder.hands._body = replace(holder.hands._body, acts=cast("RootActs", SimpleNamespace(act=act)))
    start = time.monotonic()
    holder.hands.do(Unfence())
    assert holder.acts.done == ["unfence", "fence"]
    assert time.monotonic() - start < 0.9


def test_unfencing_ends_when_a_new_intent_stands(holder: World) -> None:
    holder.fence()
    holder.notes.fence_noted = True
    holder.hands.do(Unfence())
    assert holder.acts.done == []
    assert holder.notes.fence_noted


def test_priming_refuses_ends_connections_and_answers(world: World) -> None:
    world.hands.do(Refuse(Refusal(7, "192.0.2.12"), anew=True))
    assert world.lease.refused == {"192.0.2.12": world.clocks.now + 60}
    assert world.lease.killed == ["192.0.2.12"]
    assert json.loads(world.etcd.value(KEYS.primed("db1")) or "") == {"epoch": 7, "killed": 3}
    world.hands.do(Refuse(Refusal(7, "192.0.2.12"), anew=False))
    assert world.lease.killed == ["192.0.2.12"]


def test_a_failing_order_is_answered_too(world: World) -> None:
    world.acts.fails = 1
    world.etcd.put(KEYS.order("db1"), json.dumps({"id": "x", "verb": "restart", "unit": "etcd.service"}))
    world.hands.do(RunAct(Act("x", "restart", "etcd.service")))
    assert json.loads(world.etcd.value(KEYS.done("db1")) or "") == {
        "id": "x",
        "ok": False,
        "said": "not done",
    }
