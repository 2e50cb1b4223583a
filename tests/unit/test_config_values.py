"""Values against what pg_settings says; tests/contract/test_config_postgres.py compares with a server."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.decide.config_values import canonical, same, written
from tests.support.settings import setting


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("work_mem", "64MB", "65536"),
        ("work_mem", 65536, "65536"),
        ("work_mem", " 1 GB ", "1048576"),
        ("work_mem", "0.1GB", "104448"),  # first a whole number of MB
        ("work_mem", "1e3", "1000"),
        ("shared_buffers", "128MB", "16384"),
        ("shared_buffers", 16384, "16384"),
        ("min_wal_size", "1GB", "1024"),
        ("wal_segment_size", "16MB", "16777216"),
        ("checkpoint_timeout", "15min", "900"),
        ("checkpoint_timeout", "1.5min", "90"),
        ("random_page_cost", "1.10", "1.1"),
        ("random_page_cost", 4, "4"),
        ("autovacuum", "TRUE", "on"),
        ("autovacuum", False, "off"),
        ("autovacuum", "f", "off"),
        ("autovacuum", 1, "on"),
        ("log_statement", "DDL", "ddl"),
        ("synchronous_commit", True, "on"),
        ("timezone", "Europe/Zurich", "Europe/Zurich"),
    ],
)
def test_what_a_value_means(name: str, value: object, meant: str) -> None:
    assert canonical(setting(name), value) == meant


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("work_mem", "32kB", "between 64kB and 2147483647kB"),
        ("work_mem", "64mb", "units are B, kB, MB, GB, TB"),
        ("work_mem", "5min", "units are B, kB"),
        ("work_mem", "much", "is a number"),
        ("work_mem", "", "is a number"),
        ("work_mem", "010", "is a number"),
        ("work_mem", "1e400", "between"),
        ("shared_buffers", "8kB", "between 128kB and"),
        ("max_connections", "0", "between 1 and 262143"),
        ("max_connections", "100MB", "it has no unit"),
        ("checkpoint_timeout", "1s", "between 30s and 1d"),
        ("autovacuum", "o", "on or off"),
        ("autovacuum", "maybe", "on or off"),
        ("log_statement", "everything", "one of none, ddl, mod, all"),
        ("log_statement", "on", "one of"),
        ("random_page_cost", "-1", "between"),
    ],
)
def test_what_postgresql_would_not_take(name: str, value: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        canonical(setting(name), value)


def test_one_value_written_in_two_ways() -> None:
    assert same(setting("work_mem"), "64MB", 65536)
    assert same(setting("random_page_cost"), "1.1", 1.1)
    assert same(setting("autovacuum"), True, "on")
    assert not same(setting("work_mem"), "64MB", "64")
    assert same(setting("work_mem"), "rubbish", "rubbish")
    assert not same(setting("work_mem"), "rubbish", "4MB")


def test_how_a_value_is_written() -> None:
    assert [written(v) for v in (True, False, None, 200, "64MB")] == ["on", "off", "", "200", "64MB"]


@given(st.text(max_size=30) | st.integers() | st.floats() | st.booleans())
def test_any_value_is_taken_or_refused_and_what_is_taken_stays(value: object) -> None:
    for name in (
        "work_mem",
        "random_page_cost",
        "autovacuum",
        "log_statement",
        "timezone",
        "max_connections",
    ):
        with contextlib.suppress(ValueError):
            found = canonical(setting(name), value)
            assert canonical(setting(name), found) == found
