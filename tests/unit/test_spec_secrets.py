"""Messages never show what may be a secret, and cannot harm a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from hactl.spec.shown import dotted, safe, shown
from tests.support.specs import found_in, found_in_text

SECRET = "hunter2"


@pytest.mark.parametrize(
    "changes",
    [
        {"password": SECRET},
        {"passwrd": SECRET},
        {"database.password": SECRET},
        {"database.name": f"postgres://u:{SECRET}@h/d"},
        {"database.parameters.primary_conninfo": f"password={SECRET}"},
        {"database.parameters.jit": f"'{SECRET}'"},
        {"fencing.agents.db1.options.password": SECRET},
        {"fencing.agents.db1.options.password": f"{SECRET} with a space"},
        {"fencing.agents.db1.options.passwd": [SECRET]},
        {"fencing.agents.db1.options.login": f"'{SECRET}'"},
        {"fencing.agents.db1.options": SECRET},
        {"notify": [{"webhook": f"xttps://hooks/{SECRET}"}]},
        {"notify": [{"webhook": f"https://x/{SECRET}", "more": SECRET}]},
        {"notify": [SECRET]},
        {"ssh.user": {"password": SECRET}},
    ],
)
def test_secrets_in_the_wrong_place(changes: dict[str, Any]) -> None:
    found = found_in(changes)
    assert found
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "line",
    [
        f"password: *{SECRET}",
        f"password: &{SECRET}",
        f"password: !{SECRET} x",
        f"password: !{SECRET}!x y",
        f"password: %{SECRET}",
        f"password: @{SECRET}",
        f"password: `{SECRET}",
        f"password: '{SECRET}",
        f'password: "{SECRET}\\q"',
        f"password: {SECRET}: x",
        f"password: [{SECRET}",
        f"password: !!int {SECRET}",
    ],
)
def test_secrets_that_break_the_yaml(line: str) -> None:
    found = found_in_text(f"cluster: demo\n{line}\n")
    assert found
    assert SECRET not in repr(found)


def test_a_value_that_yaml_mistakes_for_an_alias_gets_a_hint() -> None:
    (problem,) = found_in_text("password: *star")
    assert "must stand in quotes" in problem.hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("\x1b[31mred", '"\\u001b[31mred"'),
        ("two\nlines", '"two\\nlines"'),
        ("zero\u200bwidth", '"zero\\u200bwidth"'),
        ("x" * 61, f'"{"x" * 60}"...'),
        (" space", '" space"'),
        ({"a": 1}, "a mapping"),
        ([1], "a list"),
        (None, "nothing"),
        (False, "false"),
        (1.5, "1.5"),
        ("https://user:pw@host/", "(not shown)"),
    ],
)
def test_shown(value: Any, text: str) -> None:
    assert shown(("cluster",), value) == text


def test_dotted() -> None:
    assert dotted(("nodes", "db1", "roles", 0)) == "nodes.db1.roles[0]"
    assert dotted(("nodes", "D B\x1b")) == 'nodes."D B\\u001b"'
    assert dotted(()) == ""


def test_sentences_that_quote_names_are_safe() -> None:
    assert safe("node \x1b[2J\u202e") == "node \\u001b[2J\\u202e"
    assert len(safe("x" * 10_000)) < 500
    found = found_in(
        {"nodes.\x1bdb2": {"address": "192.0.2.11", "roles": ["database"]}, "fencing.agents.\x1bdb": {}}
    )
    assert all(f"{p.path}{p.value}{p.reason}{p.hint}".isprintable() for p in found)
