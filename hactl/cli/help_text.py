"""What is done to each command's help text before anybody reads it."""

from __future__ import annotations

import inspect

import click

KEEP = "\b"  # click's mark: the lines of this paragraph stay as they are


def readable(command: click.Command) -> click.Command:
    r"""Keep the lines of examples, and of paragraphs that begin with `\b` in raw docstrings, also below."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            readable(inner)
    if command.help:
        paragraphs = inspect.cleandoc(command.help).replace(f"{KEEP}\n", "\\b\n").split("\n\n")
        command.help = "\n\n".join(_marked(paragraph) for paragraph in paragraphs)
    return command


def _marked(paragraph: str) -> str:
    text = paragraph.removeprefix("\\b\n")
    kept = text != paragraph or text.startswith(("Example:\n", "Examples:\n"))
    return f"{KEEP}\n{text}" if kept else text
