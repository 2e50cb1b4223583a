from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hactl.units import Bytes, Lsn, Seconds


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("500ms", 0.5, "500ms"),
        ("0.5s", 0.5, "500ms"),
        ("3s", 3, "3s"),
        ("1.5s", 1.5, "1.5s"),
        ("10min", 600, "600s"),
        ("4h", 14400, "14400s"),
        ("2d", 172800, "172800s"),
        ("0s", 0, "0ms"),
        (" 3s ", 3, "3s"),
        ("1.1min", 66, "66s"),
    ],
)
def test_seconds(text: str, seconds: float, shown: str) -> None:
    assert Seconds.parse(text) == Seconds(seconds)
    assert str(Seconds.parse(text)) == shown


@pytest.mark.parametrize(
    "text", ["", "3", "s", "3 s", "-3s", "3S", "3m", "1e3s", ".5s", "3s\n4s", "٣s", "9" * 10 + "s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        Seconds.parse(text)


@given(st.integers(0, 10**9 - 1), st.integers(0, 999), st.sampled_from(["ms", "s", "min", "h", "d"]))
def test_a_duration_survives_being_written_and_read(whole: int, part: int, unit: str) -> None:
    duration = Seconds.parse(f"{whole}.{part:03}{unit}")
    if duration < Seconds(1e9):  # 30 years; nine digits is what can be written
        assert Seconds.parse(str(duration)) == duration


def test_durations_have_an_order() -> None:
    assert Seconds.parse("900ms") < Seconds.parse("1s") < Seconds.parse("1min")


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (16 * 1024**2, "16.0 MiB"),
        (5 * 1024**4, "5.0 TiB"),
        (5000 * 1024**4, "5000.0 TiB"),
        (-2048, "-2.0 KiB"),
    ],
)
def test_bytes(size: int, shown: str) -> None:
    assert str(Bytes(size)) == shown


def test_mib() -> None:
    assert Bytes.mib(1.5) == Bytes(1572864)


@pytest.mark.parametrize(
    ("text", "value", "shown"),
    [
        ("0/0", 0, "0/0"),
        ("16/B374D848", 0x16B374D848, "16/B374D848"),
        ("1/00000000", 1 << 32, "1/0"),
        ("ffffffff/ffffffff", 2**64 - 1, "FFFFFFFF/FFFFFFFF"),
    ],
)
def test_lsn(text: str, value: int, shown: str) -> None:
    assert Lsn.parse(text) == Lsn(value)
    assert str(Lsn(value)) == shown


@pytest.mark.parametrize("text", ["", "16", "16/", "/1", "16/B374D8480", "G/0", "1/0/0", "-1/0", "1/0x"])
def test_what_is_no_lsn(text: str) -> None:
    with pytest.raises(ValueError, match="is not an LSN"):
        Lsn.parse(text)


@given(st.integers(0, 2**64 - 1))
def test_an_lsn_survives_being_written_and_read(value: int) -> None:
    assert Lsn.parse(str(Lsn(value))) == Lsn(value)


def test_the_difference_of_lsns_is_a_number_of_bytes() -> None:
    assert Lsn.parse("1/10") - Lsn.parse("0/FFFFFFFF") == Bytes(17)
    assert Lsn(5) - Lsn(7) == Bytes(-2)
