"""The tree of commands as data, with which the reference in docs/ and the man pages are made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click


@dataclass(frozen=True)
class Block:
    """A paragraph of a help text; a literal one keeps its lines."""

    text: str
    literal: bool = False


@dataclass(frozen=True)
class CommandHelp:
    """`path`: `("hactl", "archive", "drain")`. `options`: how it is written, what it does.

    `commands`: of a group, each name with its one line.
    """

    path: tuple[str, ...]
    usage: str
    blocks: tuple[Block, ...]
    examples: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    commands: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return " ".join(self.path)

    @property
    def summary(self) -> str:
        """The first sentence, without what follows a colon or a full stop."""
        first = self.blocks[0].text if self.blocks else ""
        return first.split(". ")[0].rstrip(".")


def tree(root: click.Command) -> Iterator[CommandHelp]:
    """Every command that is not hidden, parents before children, in the order of the help."""
    yield from _below(_context(root, "hactl"), ("hactl",))


def _below(ctx: click.Context, path: tuple[str, ...]) -> Iterator[CommandHelp]:
    command = ctx.command
    inner: list[tuple[str, click.Command]] = []
    if isinstance(command, click.Group):
        found = ((name, command.get_command(ctx, name)) for name in command.list_commands(ctx))
        inner = [(name, one) for name, one in found if one is not None and not one.hidden]
    blocks, examples = _text(inspect.cleandoc(command.help or ""))
    yield CommandHelp(
        path=path,
        usage=" ".join([*path, *command.collect_usage_pieces(ctx)]),
        blocks=blocks,
        examples=examples,
        options=tuple(filter(None, map(_record(ctx), command.get_params(ctx)))),
        commands=tuple((name, one.get_short_help_str(200)) for name, one in inner),
    )
    for name, one in inner:
        yield from _below(_context(one, name, ctx), (*path, name))


def _context(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, **command.context_settings)


def _record(ctx: click.Context) -> Callable[[click.Parameter], tuple[str, str] | None]:
    """Of options only: what an argument is stands in the text."""
    return lambda p: p.get_help_record(ctx) if isinstance(p, click.Option) else None


def _text(said: str) -> tuple[tuple[Block, ...], tuple[str, ...]]:
    """Paragraphs, and the lines of those that begin with `Example`."""
    blocks: list[Block] = []
    examples: list[str] = []
    for paragraph in said.split("\f", maxsplit=1)[0].split("\n\n"):
        literal = paragraph.lstrip().startswith("\b")
        text = paragraph.replace("\b\n", "", 1).strip("\n")
        head, _, rest = text.strip().partition(":")
        if head in {"Example", "Examples"}:
            examples += [line.strip() for line in rest.splitlines() if line.strip()]
        elif text.strip():
            blocks.append(Block(text if literal else " ".join(text.split()), literal))
    return tuple(blocks), tuple(examples)
