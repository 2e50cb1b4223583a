"""A command's manual page in man(7)'s language, from the same texts as its --help."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from hactl import __version__
from hactl.cli.help_tree import Block, CommandHelp

EXIT_CODES = (
    (0, "done; or the answer is yes"),
    (1, "a bug: one line on standard error, with -v the whole of it"),
    (2, "the spec cannot be used, or the command was called wrongly"),
    (3, "refused: a guard vetoed; all vetoes are listed"),
    (4, "something could not be reached; try again"),
    (5, "a step failed; the message names the last one that was done"),
    (6, "another operation is under way; the message says whose"),
    (7, 'the answer is "not healthy"'),
    (130, "interrupted"),
)
COMMON = (
    ("-h, --help", "Show what a command does, with its options."),
    ("--spec FILE", "The spec. Default: $HACTL_SPEC, ./cluster.yaml, /etc/hactl/cluster.yaml, the lab's."),
    ("-o, --output [table|json|yaml]", "How to print what is asked for."),
    ("-v, --verbose", "Say more on standard error; twice for everything."),
)


def file_name(page: CommandHelp) -> str:
    return "-".join(page.path) + ".1"


def man_page(page: CommandHelp) -> str:
    return "\n".join(_lines(page)) + "\n"


def _lines(page: CommandHelp) -> Iterator[str]:
    title = "-".join(page.path)
    yield f'.TH "{_text(title.upper())}" "1" "" "hactl {_text(__version__)}" "hactl"'
    yield from (".nh", ".ad l")
    yield from (".SH NAME", f"{_text(title)} \\- {_text(page.summary)}")
    yield from (".SH SYNOPSIS", f"\\fB{_text(page.name)}\\fR{_text(page.usage.removeprefix(page.name))}")
    if page.blocks:
        yield ".SH DESCRIPTION"
        for block in page.blocks:
            yield from _block(block)
    if page.commands:
        yield ".SH COMMANDS"
        yield from _list((f"{page.name} {name}", said) for name, said in page.commands)
    own = [(how, said) for how, said in page.options if how not in {o for o, _ in COMMON}]
    if own:
        yield ".SH OPTIONS"
        yield from _list(own)
    yield ".SH COMMON OPTIONS"
    yield from _list(COMMON)
    if page.examples:
        yield from (".SH EXAMPLES", ".nf", *(_line(example) for example in page.examples), ".fi")
    yield ".SH EXIT STATUS"
    yield from _list((str(code), said) for code, said in EXIT_CODES)
    yield ".SH SEE ALSO"
    yield ", ".join(f"\\fB{_text('-'.join(path))}\\fR(1)" for path in _near(page))


def _near(page: CommandHelp) -> list[tuple[str, ...]]:
    above = [page.path[:n] for n in range(1, len(page.path))]
    return [*above, *((*page.path, name) for name, _ in page.commands)]


def _block(block: Block) -> Iterator[str]:
    yield ".PP"
    if block.literal:
        yield from (".nf", *(_line(line) for line in block.text.splitlines()), ".fi")
    else:
        yield _line(block.text)


def _list(entries: Iterable[tuple[str, str]]) -> Iterator[str]:
    for term, said in entries:
        yield from (".TP", f"\\fB{_text(term)}\\fR", _line(said) if said else "\\&")


def _line(text: str) -> str:
    """A line of its own: what would be a request at its beginning is none; `code` is bold."""
    shown = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", _text(text))
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown


def _text(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
