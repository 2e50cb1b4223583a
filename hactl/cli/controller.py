"""`hactl controller run`: one of a cluster's controllers, on a database node or a witness."""

from __future__ import annotations

import click


@click.group()
def command() -> None:
    """Watch the cluster, decide, and act: one controller does, the others stand by."""


@command.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Run this node's controller until SIGTERM; SIGHUP reads the spec again. systemd starts it.

    Example:
      hactl controller run
    """
    from hactl.cli.context import open_context
    from hactl.controller.main import serve

    # The address of a node is what tells a node: a lab's network is not entered.
    context = open_context(ctx, connect=False)
    serve(context.spec, context.site, lambda: open_context(ctx, connect=False).spec)
