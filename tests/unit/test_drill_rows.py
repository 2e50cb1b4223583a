from __future__ import annotations

import pytest

from hactl.drill import rows
from hactl.drill.history import Row
from hactl.errors import StepFailed


def test_what_psql_prints() -> None:
    assert rows.parse("w1|1|7\nprobe|2|8\n") == [Row("w1", 1, 7), Row("probe", 2, 8)]
    assert rows.parse("") == []


@pytest.mark.parametrize("text", ["w1|1\n", "w1|x|7\n", "ERROR: no\n", "a|1|2|3\n"])
def test_anything_else_is_an_error(text: str) -> None:
    with pytest.raises(StepFailed, match="something else than rows"):
        rows.parse(text)


def test_the_name_of_a_run_is_a_variable_and_no_part_of_the_sql() -> None:
    assert rows.argv("x'; drop")[-3] == "run=x'; drop"
    assert "drop" not in rows.SQL
