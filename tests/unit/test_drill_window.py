"""When drills are agreed to: asked by hactl before it begins, and once more by the node itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.decide.window import DAYS, following, left
from hactl.render.drills import windows as rendered
from hactl.spec.model_drills import Window
from tests.support.faults import program

MONDAY = dt.datetime(2026, 11, 23)  # noqa: DTZ001 - local time has no zone
NIGHT = Window(begin="02:00", end="05:00", days=("sat", "sun"))
OVER = Window(begin="22:30", end="01:00", days=("fri",))
WHOLE = Window(begin="00:00", end="24:00")


def at(day: str, time: str) -> dt.datetime:
    hours, _, minutes = time.partition(":")
    return MONDAY + dt.timedelta(days=DAYS.index(day), hours=int(hours), minutes=int(minutes))


CASES = [
    ([], "sat", "03:00", None),
    ([NIGHT], "sat", "02:00", 3 * 3600),
    ([NIGHT], "sun", "04:59", 60),
    ([NIGHT], "sun", "05:00", None),
    ([NIGHT], "sat", "01:59", None),
    ([NIGHT], "mon", "03:00", None),
    ([OVER], "fri", "22:29", None),
    ([OVER], "fri", "23:30", 90 * 60),
    ([OVER], "sat", "00:59", 60),
    ([OVER], "sat", "01:00", None),
    ([OVER], "fri", "00:30", None),
    ([WHOLE], "wed", "12:00", 12 * 3600),
    ([NIGHT, WHOLE], "sat", "03:00", 21 * 3600),
    ([Window(begin="06:00", end="06:00", days=("mon",))], "tue", "05:00", 3600),
]


@pytest.mark.parametrize(("windows", "day", "time", "want"), CASES)
def test_for_how_long_it_is_open(windows: list[Window], day: str, time: str, want: float | None) -> None:
    assert left(windows, at(day, time)) == want


@pytest.mark.parametrize(
    ("windows", "day", "time", "want"),
    [
        ([NIGHT], "mon", "12:00", ("sat", "02:00")),
        ([NIGHT], "sat", "03:00", ("sun", "02:00")),
        ([OVER], "fri", "22:30", ("fri", "22:30")),
    ],
)
def test_when_the_next_one_begins(windows: list[Window], day: str, time: str, want: tuple[str, str]) -> None:
    week = dt.timedelta(days=7 if (day, time) == want else 0)
    assert following(windows, at(day, time)) == at(*want) + week
    assert following([], at(day, time)) is None


times = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59)) | st.just("24:00")
some = st.builds(
    Window, begin=times, end=times, days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True).map(tuple)
)


@given(st.lists(some, max_size=3), st.integers(0, 7 * 24 * 60 - 1))
def test_the_node_says_the_same(windows: list[Window], minute: int) -> None:
    moment = MONDAY + dt.timedelta(minutes=minute)
    node: dict[str, Any] = PROGRAM
    node["WINDOWS"] = rendered(tuple(windows))
    assert node["open_at"](moment) is (left(windows, moment) is not None)


PROGRAM = program("db1")
