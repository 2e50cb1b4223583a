"""docs/commands.md and docs/commands/, made from the commands themselves: `./bootstrap docs`."""

from __future__ import annotations

from collections.abc import Iterator

from hactl.cli.app import root
from hactl.cli.help_tree import CommandHelp, tree
from hactl.cli.man_page import COMMON, EXIT_CODES

_MADE = "<!-- Made by `./bootstrap docs`; a test compares. Do not edit. -->"
_HEAD = f"""\
# Commands

{_MADE}

`hactl NOUN VERB`. Each command says with `--help` what its page here says. How commands that change something
behave (who asked, one at a time, `--dry-run`): [working by hand](operations.md). In the shell:
[completion and manual pages](completion.md).
"""


def pages() -> dict[str, str]:
    """Path below docs/ -> text."""
    found = list(tree(root))
    made = {"commands.md": "\n".join(_index(found))}
    for name, _ in found[0].commands:
        mine = [page for page in found if page.path[1:2] == (name,)]
        made[f"commands/{name}.md"] = "\n".join(_page(mine))
    return made


def _index(found: list[CommandHelp]) -> Iterator[str]:
    yield _HEAD
    yield from ("| command | what it does |", "|---|---|")
    for name, said in found[0].commands:
        verbs = [page.path[2] for page in found if page.path[1:2] == (name,) and len(page.path) == 3]
        called = " ".join([f"[hactl {name}](commands/{name}.md)", " · ".join(verbs)]).strip()
        yield f"| {called} | {_cell(said)} |"
    yield from ("", "## Options of every command", "")
    yield from (f"* `{how}`: {said}" for how, said in COMMON)
    yield from ("", "They may stand before the noun or behind it.", "", "## Exit codes", "")
    yield from (
        "| code | means |",
        "|---|---|",
        *(f"| {code} | {_cell(said)} |" for code, said in EXIT_CODES),
    )
    yield ""


def _page(mine: list[CommandHelp]) -> Iterator[str]:
    yield from (f"# {mine[0].name}", "", _MADE, "")
    yield from _command(mine[0])
    for page in mine[1:]:
        yield from (f"## {page.name}", "")
        yield from _command(page)
    yield from ("[All commands, options of each, exit codes](../commands.md)", "")


def _command(page: CommandHelp) -> Iterator[str]:
    yield from ("```", page.usage, "```", "")
    for block in page.blocks:
        yield from ("```", block.text, "```", "") if block.literal else (block.text, "")
    if options := [(how, said) for how, said in page.options if "--help" not in how]:
        yield from (*(f"* `{how}`: {said}" if said else f"* `{how}`" for how, said in options), "")
    if page.examples:
        yield from (
            "Examples:" if len(page.examples) > 1 else "Example:",
            "",
            "```",
            *page.examples,
            "```",
            "",
        )


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
