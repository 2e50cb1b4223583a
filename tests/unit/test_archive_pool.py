"""A dead connection of Orthanc's pool is passed over; what hangs, or fails otherwise, is asked once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hactl.adapters import archive_pool
from hactl.adapters.archive_pool import MOST, past_the_dead
from hactl.errors import Unreachable
from hactl.ports import Reply

GOOD, DEAD, WRONG = Reply(200, b"{}"), Reply(503, b""), Reply(500, b"")


class Pool:
    """Answers in this order; the last one again and again. Each takes `seconds`."""

    def __init__(self, *replies: Reply, seconds: float = 0.01) -> None:
        self.replies, self.seconds, self.asked, self.now = list(replies), seconds, 0, 0.0

    def ask(self) -> Reply:
        self.asked += 1
        self.now += self.seconds
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[Pool]:
    pools: list[Pool] = []
    monkeypatch.setattr(archive_pool, "time", SimpleNamespace(monotonic=lambda: pools[0].now))
    return pools


@pytest.mark.parametrize(
    ("pool", "status", "asked"),
    [
        pytest.param(Pool(GOOD), 200, 1, id="a pool that lives is asked once"),
        pytest.param(Pool(*[DEAD] * 12, GOOD), 200, 13, id="twelve dead connections are passed over"),
        pytest.param(Pool(DEAD), 503, MOST, id="a database that is away is not asked for ever"),
        pytest.param(Pool(WRONG), 500, 1, id="another fault is one"),
        pytest.param(Pool(DEAD, GOOD, seconds=0.5), 503, 1, id="what answers late is no dead connection"),
    ],
)
def test_who_is_asked_how_often(clock: list[Pool], pool: Pool, status: int, asked: int) -> None:
    clock.append(pool)
    assert past_the_dead(pool.ask).status == status
    assert pool.asked == asked


def test_silence_is_passed_on() -> None:
    def ask() -> Reply:
        raise Unreachable("no answer")

    with pytest.raises(Unreachable):
        past_the_dead(ask)
