"""In which order a trial's faults come and are healed, and what becomes of one that cannot be made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hactl.cli import drill_place, drill_run
from hactl.cli.drill_place import LabPlace
from hactl.drill.history import Mark
from hactl.errors import Refused
from hactl.lab.machine import Power
from tests.bench import matrix_run
from tests.bench.matrix_plan import Nodes, Trial, Way, expected
from tests.bench.matrix_run import Strikes

NODES = Nodes(("db1", "db2"), ("wit1",), ("arc1", "arc2"))
STATUS = {
    "nodes": [{"name": "wit1", "roles": ["witness"]}],
    "database": {"primary": "db2"},
    "etcd": {"leader": "wit1"},
}


class Session:
    def __init__(self, said: list[str]) -> None:
        self.said = said

    def fault(self, node: str, act: Callable[[], object], _detail: str) -> Mark:
        act()
        return Mark(0.0, 0.0, "fault", node)

    def heal(self, node: str, act: Callable[[], object], _detail: str) -> Mark:
        act()
        return Mark(0.0, 0.0, "heal", node)

    def acknowledged(self, _count: int, *, within: float, since: float, still: object) -> None:  # noqa: ARG002
        self.said.append("served")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []

    @contextmanager
    def injected(_lab: object, kind: str, node: str, _word: str) -> Iterator[None]:
        if kind == "crash-postgres" and node == "db1":
            raise Refused("no PostgreSQL runs on db1")
        told.append(f"{kind} {node}")
        yield
        told.append(f"{kind} {node} healed")

    for module in (drill_run, matrix_run):
        monkeypatch.setattr(module, "AFTER", 0.0)
    monkeypatch.setattr(drill_place.faults, "injected", injected)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    return told


def struck(said: list[str], trial: Trial, *, off: str = "") -> Strikes:
    """As a drill on db1, the primary; by then db2 is."""
    drill: Any = Strikes.__new__(Strikes)
    drill.trial, drill.scenario, drill.undone = (
        trial,
        replace(expected(trial, NODES), hold=0.0, images=False),
        [],
    )
    drill.node, drill.other = "db1", "db2"
    drill.session, drill.status = Session(said), lambda: STATUS
    drill.history = SimpleNamespace(note=said.append)
    drill.context = SimpleNamespace(spec=SimpleNamespace(databases=("db1", "db2")))
    drill.still = lambda: None
    drill.place = LabPlace.__new__(LabPlace)
    drill.place.lab = SimpleNamespace(
        machine=lambda n: SimpleNamespace(power=lambda: Power.OFF if n == off else Power.ON)
    )
    drill.modality = None
    drill._struck()
    found: Strikes = drill
    return found


def test_a_pair_the_second_on_whoever_has_the_role_by_then(said: list[str]) -> None:
    struck(said, Trial(1, Way.PAIR, "primary/isolate", "primary/kill-agent", 3.0, 1.0))
    assert said == ["isolate db1", "kill-agent db2", "served", "isolate db1 healed", "kill-agent db2 healed"]


def test_healed_the_other_way_round(said: list[str]) -> None:
    struck(said, Trial(1, Way.PAIR, "primary/isolate", "primary/kill-agent", 3.0, -1.0))
    assert said[-2:] == ["kill-agent db2 healed", "isolate db1 healed"]


def test_nobody_waits_for_a_service_that_cannot_be_there_before_the_heal(said: list[str]) -> None:
    struck(said, Trial(1, Way.PAIR, "primary/isolate", "witness/isolate", 3.0, 1.0))
    healed = ["isolate db1 healed", "isolate wit1 healed"]
    assert said == ["isolate db1", "isolate wit1", *healed, "served"]


def test_a_second_fault_that_has_nothing_to_strike_is_told_and_the_first_is_judged(said: list[str]) -> None:
    trial = Trial(1, Way.PAIR, "witness/isolate", "standby/crash-postgres", 3.0, 1.0)
    drill = struck(said, trial)
    assert drill.undone == ["standby/crash-postgres: no PostgreSQL runs on db1"]
    assert said[-1] == "isolate db1 healed"
    off = struck(said, Trial(1, Way.PAIR, "primary/isolate", "primary/kill-agent", 3.0, 1.0), off="db2")
    assert off.undone == ["primary/kill-agent: db2 has the role, and is not on"]


def test_during_a_rejoin_the_first_is_healed_before_the_second_comes(said: list[str]) -> None:
    struck(said, Trial(1, Way.REJOIN, "primary/power-off", "standby/kill-agent", 3.0))
    assert said == [
        "power-off db1", "served", "power-off db1 healed", "kill-agent db1", "served",
        "kill-agent db1 healed",
    ]  # fmt: skip


def test_alone_as_hactl_drill_run_does(said: list[str]) -> None:
    struck(said, Trial(1, Way.ALONE, "primary/lead-etcd+power-off"))
    assert said == [
        "lead-etcd db1", "power-off db1", "served", "power-off db1 healed", "lead-etcd db1 healed"
    ]  # fmt: skip


def test_what_is_away_until_it_is_healed(said: list[str]) -> None:
    struck(said, Trial(1, Way.ALONE, "primary/freeze-quorum"))
    assert said == ["freeze-quorum db1", "freeze-quorum db1 healed", "served"]
