from __future__ import annotations

from typing import Any

import pytest

from hactl.spec.document import MAX_TEXT, parse
from tests.support.specs import found_in_text

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED_LAUGHS = "a: &a {k: v}\n" + "".join(
    f"{b}: &{b} {{<<: [{', '.join([f'*{a}'] * 10)}]}}\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
CHAIN = "- &a0 [x]\n" + "".join(f"- &a{n} [*a{n - 1}]\n" for n in range(1, 300))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0104", "0104"),
        ("104", 104),
        ("-3", -3),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("2026-11-22", "2026-11-22"),
        ("1.5", 1.5),
        ("1.5e+3", 1500.0),
        ("1e3", 1000.0),
        ("1e-05", 1e-05),
        ("on", True),
        ("'on'", "on"),
        ("~", None),
        ("=", "="),
        ("192.0.2.1", "192.0.2.1"),
    ],
)
def test_scalars_mean_what_they_look_like(text: str, value: Any) -> None:
    assert parse(f"key: {text}").data == {"key": value}
    assert type(parse(f"key: {text}").data["key"]) is type(value)


def test_aliases_and_merges_work() -> None:
    text = "base: &b {a: 1, b: 2}\nother: &o {<<: *b, b: 3}\nsame: *o"
    assert parse(text).problems == []
    assert parse(text).data == {"base": {"a": 1, "b": 2}, "other": {"a": 1, "b": 3}, "same": {"a": 1, "b": 3}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "the document is empty", id="nothing"),
        pytest.param("# only words\n", "the document is empty", id="only a comment"),
        pytest.param("just text", "a spec is a mapping", id="text"),
        pytest.param("- a\n- b", "a spec is a mapping", id="a list"),
        pytest.param("7", "a spec is a mapping", id="a number"),
        pytest.param("a: 1\n---\nb: 2", "line 2, column 1: but found another document", id="two documents"),
        pytest.param("a: [1, 2", "line 1, column 9:", id="an open bracket"),
        pytest.param("a: 1\n\tb: 2", "line 2, column 1: found character", id="a tab"),
        pytest.param("a: {b: 1\nc: d", "line 2, column 2", id="an open brace"),
        pytest.param("a: \x07", "special characters are not allowed", id="a control character"),
        pytest.param("a: 1\na: 2", "stands here a second time; the first is on line 1", id="duplicate key"),
        pytest.param("{a: 1, a: 2}", "stands here a second time", id="duplicate key on one line"),
        pytest.param("7: x", "a key must be text, this is 7", id="a number as key"),
        pytest.param("on: x", "a key must be text, this is on", id="a truth value as key"),
        pytest.param("~: x", "a key must be text, this is ~", id="null as key"),
        pytest.param("[a, b]: x", "a key must be text, this is a list or mapping", id="a list as key"),
        pytest.param(
            "a: !!python/object/apply:os.system [id]", "YAML tags have no meaning", id="a Python object"
        ),
        pytest.param("a: !vault x", "YAML tags have no meaning", id="an own tag"),
        pytest.param("a: !!set {b}", "YAML tags have no meaning", id="a set"),
        pytest.param("a: !!binary aGk=", "YAML tags have no meaning", id="binary"),
        pytest.param("a: !!int many", "not what its YAML tag says", id="a tag that lies"),
        pytest.param("a: !!bool many", "not what its YAML tag says", id="another tag that lies"),
        pytest.param("a: !!int ''", "not what its YAML tag says", id="an empty number"),
        pytest.param("a: " + "9" * 5000, "this number is too long", id="a number of 5000 digits"),
        pytest.param("a: &x [*x]", "unfold to something huge, or to itself", id="recursion"),
        pytest.param("&x {<<: *x}", "unfold to something huge, or to itself", id="recursion by merging"),
        pytest.param(LAUGHS, "unfold to something huge", id="a billion laughs"),
        pytest.param(MERGED_LAUGHS, "unfold to something huge", id="a billion merged laughs"),
        pytest.param(CHAIN, "unfold to something huge", id="a long chain of aliases"),
        pytest.param("[" * 5000, "too many levels", id="5000 open brackets"),
        pytest.param("a: " + "{b: " * 40 + "1" + "}" * 40, "too many levels", id="40 levels"),
        pytest.param("a: {<<: 7}", "only mappings can be merged", id="a merge of a number"),
        pytest.param("x" * (MAX_TEXT + 1), "longer than 1024 KiB", id="a megabyte"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    assert any(reason in problem.reason for problem in found_in_text(text)), found_in_text(text)


def test_the_rest_is_checked_beside_a_duplicate_key() -> None:
    reasons = [(p.path, p.reason) for p in found_in_text("cluster: A\ncluster: B\nnodes: 3")]
    assert ("cluster", "stands here a second time; the first is on line 1") in reasons
    assert ("nodes", "must be a mapping") in reasons
