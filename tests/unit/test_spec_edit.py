"""Another parameter in a spec's text: every other byte stays."""

from __future__ import annotations

import difflib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hactl.spec import document
from hactl.spec.edit import CannotEdit, scalar, with_parameters
from hactl.spec.load import load
from hactl.spec.masked import MASK, filled, masked
from tests.support.specs import SAMPLE

BLOCK = """\
cluster: demo  # ours
database:
  name: orthanc
  parameters:   # what we need
    max_connections: 200  # many modalities
    work_mem: 4MB         # small

  # the end of it
vips: {}
"""


def changed(before: str, after: str) -> list[str]:
    """The lines that came and went."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return [line for line in lines if line[0] in "+-" and not line.startswith(("+++", "---"))]


def test_a_value_in_the_sample_s_own_style() -> None:
    text = SAMPLE.read_text()
    after = with_parameters(text, {"max_connections": 250, "work_mem": "64MB"})
    (gone, come) = changed(text, after)
    assert gone.replace("{max_connections: 200}", "{max_connections: 250, work_mem: 64MB}")[1:] == come[1:]
    assert load(after, "x").database.parameters == {"max_connections": 250, "work_mem": "64MB"}


def test_comments_stay_where_they_are() -> None:
    after = with_parameters(BLOCK, {"work_mem": "8MB", "log_statement": "ddl", "search_path": "a, b"})
    assert changed(BLOCK, after) == [
        "-    work_mem: 4MB         # small",
        "+    work_mem: 8MB         # small",
        "+    log_statement: ddl",
        '+    search_path: "a, b"',
    ]


def test_a_parameter_goes_with_its_line() -> None:
    after = with_parameters(BLOCK, {}, ["work_mem"])
    assert changed(BLOCK, after) == ["-    work_mem: 4MB         # small"]
    last = with_parameters(after, {}, ["max_connections"])
    assert document.parse(last).data["database"] == {"name": "orthanc", "parameters": {}}
    assert "# many modalities" in last
    assert with_parameters(last, {}, ["never_there"]) == last


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n", "a: 1", "{a: 1}\n", "{a: 1,}", "a: 1\ndatabase: {}\n",
        "a: 1\ndatabase:\n  name: x # c\n\nb:\n  - 1\n # t\n",
        '{"a": 1, "database": {"parameters": {"x": 1}}}', "database: {parameters: {\n  x: 1,\n  y: 2\n}}\n",
        "b:\n- 1\n- c: 2\n# end\n", "database:\n  parameters:\n    'x': 1\n",
    ],
)  # fmt: skip
def test_wherever_it_has_to_go(text: str) -> None:
    before = document.parse(text).data
    after = document.parse(with_parameters(text, {"work_mem": "64MB", "jit": False})).data
    wanted = {**before.get("database", {}).get("parameters", {}), "work_mem": "64MB", "jit": False}
    assert after["database"]["parameters"] == wanted
    assert {k: v for k, v in after.items() if k != "database"} == {
        k: v for k, v in before.items() if k != "database"
    }


@pytest.mark.parametrize(
    "text",
    [
        "x: &p {work_mem: 1MB}\ndatabase: {parameters: *p}\n",
        "database:\n  parameters:\n",
        "database:\n  parameters:\n    work_mem:\n      - 1\n",
    ],
)
def test_what_cannot_be_edited_says_what_to_write(text: str) -> None:
    with pytest.raises(CannotEdit, match=r"below database.parameters write: work_mem: 64MB"):
        with_parameters(text, {"work_mem": "64MB"})


def test_words_of_a_command_line() -> None:
    words = ("64MB", "200", "1.5", "on", "false", "a, b", "1e3", "-1", "", "0104")
    found = [scalar(word) for word in words]
    assert found == ["64MB", 200, 1.5, True, False, "a, b", 1000.0, -1, "", "0104"]


VALUES = (
    st.sampled_from(["4MB", "a, b", "on", "%m [%p] ", "yes", "1:30", "- x", "#", "null", "~", "{x"])
    | st.integers()
)


@given(
    st.dictionaries(st.sampled_from("abcdef"), VALUES, max_size=5),
    st.dictionaries(st.sampled_from("abcxyz"), VALUES),
)
def test_any_change_of_any_mapping_says_what_was_meant(
    there: dict[str, str | int], new: dict[str, str | int]
) -> None:
    for style in (True, False):
        data = {"cluster": "x", "database": {"parameters": there, "name": "o"}}
        text = yaml.safe_dump(data, default_flow_style=style)
        after = with_parameters(text, new, [name for name in there if name not in new])
        assert document.parse(after).data["database"]["parameters"] == new


SECRET = """\
notify:
  - webhook: https://hooks.example.org/T0KEN  # ours
  - email: anna@example.org
  - {webhook: "https://other.example.org/x"}
"""


def test_tokens_are_left_out_and_put_back() -> None:
    shown = masked(SECRET)
    assert "T0KEN" not in shown
    assert "anna@example.org" in shown
    assert shown.count(MASK) == 2
    assert "# ours" in shown
    assert filled(shown, SECRET) == SECRET
    assert masked(shown) == shown


def test_a_secret_that_is_nowhere_any_more_is_named() -> None:
    with pytest.raises(ValueError, match=r"notify\[2\].webhook"):
        filled(masked(SECRET), "notify:\n  - webhook: https://hooks.example.org/NEW\n")


def test_what_is_no_yaml_is_left_out() -> None:
    assert masked("{") == MASK
