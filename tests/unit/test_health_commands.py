"""What a finding, an alert or a hint tells its reader to type is a command that hactl has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from hactl.cli.app import root
from hactl.decide.codes import CODES
from hactl.decide.reference import ADVICE
from hactl.render.alerts import RAW

SOURCE = Path(__file__).resolve().parents[2] / "hactl"
COMMAND = re.compile(r"^hactl (?:-v )?([^;,]*)$")
SHOWN = re.compile(r"`hactl ((?:-v )?[^`]+)`")
# A word of a command line as it stands in the middle of a sentence.
WORD = re.compile(r"^(-{1,2}[a-z][a-z-]*|[a-z][a-z-]*)$")


def typed(text: str) -> Iterator[str]:
    for part in re.split(r";|&&|,", text):
        if found := COMMAND.match(part.strip().removeprefix("then ")):
            yield found[1].strip()


FIXES = sorted({words for code in CODES.values() for words in typed(code.fix)})
ALERTS = sorted({words for alert in RAW for words in typed(alert.fix)})
SAID = [step for advice in ADVICE.values() for step in advice.steps]
STEPS = sorted({words.removeprefix("-v ") for step in SAID for words in SHOWN.findall(step)})


def filled(words: str) -> list[str]:
    text = re.sub(r"\{\{ [^}]* \}\}|\{[a-z]+\}|NODE|CODE|IMAGE|[A-Z][A-Z0-9:_]{3,}…?", "db1", words)
    return [word for word in text.split() if word != "…"]


def resolved(words: list[str]) -> tuple[click.Command, list[str]]:
    command: click.Command = root
    context = click.Context(root)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, words
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("words", [*FIXES, *ALERTS, *STEPS])
def test_a_finding_names_a_command_that_there_is(words: str) -> None:
    command, rest = resolved(filled(words))
    assert not isinstance(command, click.Group), words
    command.make_context(words, rest, resilient_parsing="..." in words or "…" in words)


def test_no_finding_has_anybody_log_in_where_a_command_does_it() -> None:
    told = [code.fix for code in CODES.values()] + [alert.fix for alert in RAW]
    assert [fix for fix in told if "ssh " in fix] == []


def test_there_are_such_commands() -> None:
    assert len(FIXES) >= 25
    assert len(ALERTS) >= 3
    assert len(STEPS) >= 30


def hints() -> Iterator[tuple[str, str]]:
    """Every `hint=` of the source: where, and its text with `db1` for what is filled in."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "hint":
                yield f"{path.relative_to(SOURCE)}:{node.value.lineno}", _text(node.value)


def _text(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(_text(part) for part in parts)
        case ast.FormattedValue():
            return "db1"
        case ast.IfExp(body=body, orelse=other):
            return f"{_text(body)}; {_text(other)}"
    return ""


def test_a_hint_names_a_command_that_there_is() -> None:
    wrong, seen = [], 0
    for where, text in hints():
        for found in re.finditer(r"\bhactl ((?:[a-z-]+ ?)+)", text):
            words = [w for w in found[1].split() if WORD.match(w)]
            known = root.get_command(click.Context(root), words[0]) if words else None
            if known is None or {"was", "is", "where"} & set(words):  # "hactl does it" is prose
                continue
            seen += 1
            wrong += [f"{where}: hactl {' '.join(words)}"] if not _is_command(known, words[1:]) else []
    assert wrong == []
    assert seen > 100


def _is_command(command: click.Command, words: list[str]) -> bool:
    while isinstance(command, click.Group):
        inner = command.get_command(click.Context(command), words[0]) if words else None
        if inner is None:
            return False
        command, words = inner, words[1:]
    options = {name for found in command.params for name in (*found.opts, *found.secondary_opts)}
    options.add("--help")
    return all(word in options for word in words if word.startswith("-"))
