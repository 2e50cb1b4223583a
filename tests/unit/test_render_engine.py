from __future__ import annotations

import json

import jinja2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hactl.render import engine
from hactl.spec import document


@pytest.mark.parametrize(
    "bad",
    [
        "a\nb",
        "a;b",
        "a{b",
        "a}b",
        'a"b',
        "a'b",
        "a#b",
        "a\\b",
        "a$b",
        "a`b",
        "a%b",
        "a|b",
        "a&b",
        "é",
        "a\x00",
    ],
)
def test_a_value_that_could_mean_more_than_itself_is_refused(bad: str) -> None:
    env = engine._environment()
    with pytest.raises(ValueError, match="unquoted"):
        env.from_string("key {{ value }}").render(value=bad)


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        engine._environment().from_string("key {{ value }}").render()


def test_joining_a_quoted_value_with_another_needs_quoting_again() -> None:
    env = engine._environment()
    with pytest.raises(ValueError, match="unquoted"):
        env.from_string("{{ (value | sql) ~ value }}").render(value="a;b")


@given(st.text(alphabet=st.characters(exclude_characters="\x00")))
def test_sql_literals_end_where_the_text_ends(text: str) -> None:
    literal = str(engine.sql_literal(text))
    escaped = literal.startswith("E")
    body = literal[2:-1] if escaped else literal[1:-1]
    plain = body.replace("''", "'")
    assert "'" not in body.replace("''", "")
    assert (plain.replace("\\\\", "\\") if escaped else plain) == text


@given(st.text(alphabet=st.characters(exclude_characters="\x00\r\n")))
def test_names_end_where_they_end(text: str) -> None:
    quoted = str(engine.sql_name(text))
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', '"') == text


@pytest.mark.parametrize("filter_", [engine.sql_name, engine.pgpass_field])
def test_a_line_end_does_not_pass_where_lines_matter(filter_: object) -> None:
    with pytest.raises(ValueError, match="line end"):
        filter_("a\nb")  # type: ignore[operator]


def test_an_element_of_a_set_is_checked_like_any_value() -> None:
    assert engine.nft_set(["192.0.2.1", 443]) == "{ 192.0.2.1, 443 }"
    with pytest.raises(ValueError, match="unquoted"):
        engine.nft_set(["192.0.2.1 }; drop"])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_what_is_serialised_reads_back_as_the_same(data: dict[str, object]) -> None:
    assert json.loads(engine.json_document(data)) == data
    assert yaml.safe_load(engine.yaml_document(data, "# comment\n")) == data


def test_a_shared_part_is_written_out_twice_and_not_as_an_anchor() -> None:
    part = {"a": 1}
    assert "&" not in engine.yaml_document({"x": part, "y": part})


@pytest.mark.parametrize("text", ["0E0", "1e3", "-2E+5", "1.5e1", "no", "0x1F", "1_000", "12:30", "", "~"])
def test_a_text_that_looks_like_something_else_is_read_back_by_our_own_reader(text: str) -> None:
    assert document.parse(engine.yaml_document({"aet": text})).data == {"aet": text}
