"""`hactl archive`: the archive nodes. Each verb lies in a module of its own."""

from __future__ import annotations

import click

from hactl.cli import (
    archive_drain,
    archive_lint,
    archive_list,
    archive_manifest,
    archive_probe,
    archive_reconcile,
    archive_restart,
    archive_scrub,
    archive_signatures,
)


@click.group("archive")
def command() -> None:
    """Look after the archive nodes."""


command.add_command(archive_drain.drain)
command.add_command(archive_drain.undrain)
command.add_command(archive_lint.command)
command.add_command(archive_list.check)
command.add_command(archive_list.listing)
command.add_command(archive_manifest.command)
command.add_command(archive_probe.command)
command.add_command(archive_reconcile.command)
command.add_command(archive_restart.command)
command.add_command(archive_scrub.command)
command.add_command(archive_signatures.command)
