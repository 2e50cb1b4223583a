from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from hactl.cli import demo_story
from hactl.cli.demo_story import Story, streams
from hactl.cli.demo_view import Screen
from hactl.drill.history import History
from hactl.errors import NotHealthy, StepFailed, Unreachable


class Lab:
    """Remembers what was done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def power_off(self, node: str) -> None:
        self.done.append(f"off {node}")

    def power_on(self, node: str, *, wait: bool) -> None:
        self.done.append(f"on {node}, wait {wait}")


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def story(lab: Lab, tmp_path: Path) -> Story:
    def never(_count: int, **_: float) -> None:
        raise Unreachable("no client could commit")

    history = History.create(tmp_path / "run.jsonl")
    session: Any = SimpleNamespace(
        history=history,
        running=lambda: open("/dev/null", "rb"),  # noqa: PTH123, SIM115 - any context manager
        acknowledged=never,
        fault=lambda node, act: history.doing("fault", node, act),
    )
    return Story(lab, session, Screen(Console(quiet=True)), lambda: {"verdict": "failed"})  # type: ignore[arg-type]


def test_a_failover_that_never_ends_is_a_failed_step_and_the_power_comes_back(
    story: Story, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_story, "CALM", 0)
    monkeypatch.setattr(demo_story, "primary_of", lambda _: "db1")
    with pytest.raises(StepFailed, match="no client could commit") as failed:
        story.lose_and_regain()
    assert failed.value.last_done == "the power was cut"
    assert lab.done == ["off db1", "on db1, wait False"]


def test_an_interruption_brings_the_power_back(
    story: Story, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_story, "CALM", 0)
    monkeypatch.setattr(demo_story, "primary_of", lambda _: "db1")
    monkeypatch.setattr(story._session, "acknowledged", interrupted)
    with pytest.raises(KeyboardInterrupt):
        story.lose_and_regain()
    assert lab.done == ["off db1", "on db1, wait False"]


def test_waiting_ends_at_its_deadline_and_says_what_was_waited_for(story: Story) -> None:
    begin = time.monotonic()
    with pytest.raises(StepFailed, match="not within 0 s: the sun rises"):
        story.until("the sun rises", lambda: False, 0)
    assert time.monotonic() - begin < 1


def test_an_error_of_asking_is_not_the_end_but_is_told(story: Story) -> None:
    def ask() -> bool:
        raise NotHealthy("nobody answers")

    with pytest.raises(StepFailed, match="nobody answers"):
        story.until("somebody answers", ask, 0)


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        pytest.param({"role": "standby", "state": "streaming", "sync": True}, True, id="streams"),
        pytest.param({"role": "standby", "state": "running", "sync": True}, False, id="only up"),
        pytest.param({"role": "standby", "state": "streaming", "sync": False}, False, id="not synchronous"),
        pytest.param({"role": "primary", "state": "running", "sync": False}, False, id="the primary"),
        pytest.param({}, False, id="unknown"),
    ],
)
def test_only_a_synchronous_standby_that_receives_wal_streams(
    member: dict[str, Any], *, expected: bool
) -> None:
    assert streams({"database": {"members": [{"name": "db1", **member}]}}, "db1") is expected
