from __future__ import annotations

import click

from hactl import __version__


@click.command("version")
def command() -> None:
    """Print the version.

    Example:
      hactl version
    """
    click.echo(f"hactl {__version__}")
