"""Times and spans as people write and read them."""

from __future__ import annotations

import datetime as dt

import pytest

from hactl.cli import when
from hactl.errors import UsageError
from hactl.view.times import iso, parse_when, span

NOW = dt.datetime(2026, 11, 22, 14, 5, 30)  # noqa: DTZ001 - local time, as people mean it


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18:30", "2026-11-22T18:30:00"),
        (" 9:00 ", "2026-11-23T09:00:00"),
        ("14:05", "2026-11-23T14:05:00"),
        ("2026-12-24 07:15", "2026-12-24T07:15:00"),
        ("2026-12-24T07:15:30Z", "2026-12-24T07:15:30+00:00"),
        ("2026-12-24T07:15+01:00", "2026-12-24T07:15:00+01:00"),
        ("+2h", "2026-11-22T16:05:30"),
    ],
)
def test_a_time(text: str, expected: str) -> None:
    assert parse_when(text, NOW).isoformat() == expected


@pytest.mark.parametrize("text", ["", "tomorrow", "24:00", "18:3", "2026-12-24", "+2", "1830", "18:30:61"])
def test_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is no"):
        parse_when(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0 s"), (59.9, "59 s"), (60, "1 min"), (3600, "1 h"), (14280, "3 h 58 min"), (187_200, "2 d 4 h")],
)
def test_a_span(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_unix_time_for_people() -> None:
    assert iso(1_800_000_000) == "2027-01-15T08:00:00+00:00"
    assert when.local(0).startswith("1970-01-01") or when.local(0).startswith("1969-12-31")


@pytest.mark.parametrize(
    ("lasts", "until", "seconds"),
    [(None, None, 3600), ("4h", None, 14400), ("500ms", None, None), ("8d", None, None), ("4", None, None),
     ("4h", "18:30", None), (None, "no", None), (None, "2001-01-01 00:00", None), (None, "+30min", 1800)],
)  # fmt: skip
def test_how_long(lasts: str | None, until: str | None, seconds: float | None) -> None:
    if seconds is None:
        with pytest.raises(UsageError):
            when.lasting(lasts, until, 3600)
    else:
        assert when.lasting(lasts, until, 3600) == pytest.approx(seconds, abs=2)
