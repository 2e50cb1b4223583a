"""What texts tell people to type exists: commands, options and arguments, by hactl's own parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from hactl.cli.app import root
from hactl.cli.help_tree import CommandHelp, tree
from hactl.decide.codes import CODES, Code
from hactl.decide.reference import ADVICE
from tests.support.command_lines import calls, of_blocks, of_words, wrong
from tests.support.doc_files import DOCS, ROOT, pages

LEAVES = [page for page in tree(root) if not page.commands]
MADE = {DOCS / "commands.md", *(DOCS / "commands").iterdir()}
READ = [page for page in pages() if page not in MADE]


@pytest.mark.parametrize("page", LEAVES, ids=lambda page: page.name)
def test_every_command_s_help_has_an_example_that_can_be_typed(page: CommandHelp) -> None:
    """A docstring that ends with `Example:` and lines of calls below it, indented."""
    assert any(page.name in example for example in page.examples)
    for example in page.examples:
        assert [problem for call in calls(example) if (problem := wrong(call))] == []


@pytest.mark.parametrize("page", READ, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_in_the_documentation_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    found = [wrong(call) for call in of_blocks(text)]
    found += [wrong(call, whole=False) for call in of_words(text) if call != "hactl NOUN VERB"]
    assert list(filter(None, found)) == []


@pytest.mark.parametrize("code", CODES.values(), ids=lambda code: code.name)
def test_what_mends_a_finding_exists(code: Code) -> None:
    name, fix = code.name, code.fix
    parts = [part.split(", ")[0].strip() for part in fix.split(";")]
    found = [wrong(call) for part in parts for call in calls(part)]
    if name in ADVICE:
        said = " ".join([ADVICE[name].itself, *ADVICE[name].steps])
        found += [wrong(call) for call in of_words(said)]
    assert list(filter(None, found)) == []


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("hactl statsu", "No such command 'statsu'"),
        ("hactl status --wacth", "No such option"),
        ("hactl node ok-to-stop", "Missing argument 'NODE'"),
        ("hactl node ok-to-stop a b", "unexpected extra argument"),
        ("hactl -o json status", ""),
        ("hactl archive", ""),
    ],
)
def test_a_wrong_one_is_seen(call: str, why: str) -> None:
    assert why in wrong(call) if why else wrong(call) == ""


def test_several_in_a_line() -> None:
    line = 'hactl lab shell -- psql "$(hactl dsn)"   # as an application'
    assert list(calls(line)) == ["hactl dsn", "hactl lab shell -- psql X"]
    assert list(calls("hactl pki renew && hactl deploy [--limit NODE]")) == [
        "hactl pki renew",
        "hactl deploy --limit NODE",
    ]
