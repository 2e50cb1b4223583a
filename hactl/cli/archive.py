"""`hactl archive`: the archive nodes. Each verb lies in a module of its own."""

from __future__ import annotations

import click

from hactl.cli import archive_lint


@click.group("archive")
def command() -> None:
    """Look after the archive nodes."""


command.add_command(archive_lint.command)
