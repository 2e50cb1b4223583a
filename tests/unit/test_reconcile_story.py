"""Patroni's history of a failover comes some seconds after it: the reconcile waits, and not for ever."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from hactl.errors import Unreachable
from hactl.integrity.reconcile import HISTORY_LOOKS, Reconcile, ReconcileParts


class History:
    """Says of timeline 2 how it ended after so many looks."""

    def __init__(self, after: int) -> None:
        self.looks, self._after = 0, after

    def forks(self) -> tuple[Any, ...]:
        self.looks += 1
        return (SimpleNamespace(timeline=2),) if self.looks > self._after else ()


def story(history: History, timeline: int, *, stop: bool = False) -> Any:
    parts = SimpleNamespace(forks=history, wait=lambda _seconds: stop)
    return Reconcile(cast("ReconcileParts", parts), "run", dry=True)._story(timeline)


@pytest.mark.parametrize("after", [0, 3, HISTORY_LOOKS - 1])
def test_the_newest_fork_is_waited_for(after: int) -> None:
    history = History(after)
    assert [fork.timeline for fork in story(history, 3).forks] == [2]
    assert history.looks == after + 1


def test_the_first_timeline_has_none() -> None:
    assert story(History(0), 1).timeline == 1


@pytest.mark.parametrize(
    ("after", "stop", "why"), [(HISTORY_LOOKS, False, "does not say yet"), (1, True, "asked to stop")]
)
def test_not_for_ever_and_not_against_a_stop(after: int, stop: bool, why: str) -> None:  # noqa: FBT001 - a row
    with pytest.raises(Unreachable, match=why):
        story(History(after), 3, stop=stop)
