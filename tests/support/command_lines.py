"""hactl's commands as they stand in texts, and whether such commands, options and arguments exist."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click

from hactl.cli.app import root

_INLINE = re.compile(r"`(hactl [a-z-][^`\n]*)`")
_FENCED = re.compile(r"^ *```[a-z]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INNER = re.compile(r'"?\$\((hactl [^)]*)\)"?')
_ENDS = re.compile(r"\s(?:\||>|>>|&&|;|#|\\)(?:\s|$)|\s{2,}|;|>|…|→")


def of_blocks(page: str) -> Iterator[str]:
    """The calls in lines of code blocks that begin with one; of several (`a · b`) none."""
    for block in _FENCED.findall(page):
        for line in block.splitlines():
            if line.strip().startswith("hactl ") and " · " not in line:
                yield from calls(line.strip())


def of_words(text: str) -> Iterator[str]:
    """Those that stand between backquotes, likewise."""
    for said in _INLINE.findall(text):
        if " · " not in said:
            yield from calls(said)


def calls(line: str) -> Iterator[str]:
    """`hactl a && hactl b  # why` is two calls. Brackets around what may be left out go."""
    yield from _INNER.findall(line)
    for part in _INNER.sub("X", line).split("&& "):
        if (found := part.find("hactl ")) == 0 or (found > 0 and part[found - 1] == " "):
            yield re.sub(r"[\[\]]", "", _ENDS.split(part[found:], maxsplit=1)[0]).strip()


def wrong(call: str, *, whole: bool = True) -> str:
    """Why this is no command of hactl's; "" when it is one. Values are not looked at, but must be there.

    Not `whole`: it is only named (`hactl node stop`), so what it needs may be missing.
    """
    try:
        with root.make_context("hactl", shlex.split(call)[1:]) as context:
            return _below(context)
    except click.exceptions.Exit:  # --help, --version
        return ""
    except click.MissingParameter as error:
        return f"{call}: {error.format_message()}" if whole else ""
    except click.BadOptionUsage as error:
        return f"{call}: {error.format_message()}" if whole else ""
    except click.BadParameter:
        return ""
    except (click.UsageError, ValueError) as error:
        return f"{call}: {error}"


def _below(context: click.Context) -> str:
    command = context.command
    if not isinstance(command, click.Group):
        return ""
    left = [*context._protected_args, *context.args]  # click 8 has no other way to it
    if not left:
        return ""
    name, inner, rest = command.resolve_command(context, left)
    if inner is None:
        return f"no command {name}"
    if isinstance(inner, click.Group) and not rest:
        return ""  # the noun alone: its help
    with inner.make_context(name, rest, parent=context) as below:
        return _below(below)
