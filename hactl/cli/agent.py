"""`hactl agent run`: what systemd starts on every node."""

from __future__ import annotations

import click

from hactl.cli.context import open_context
from hactl.errors import UsageError


@click.group()
def command() -> None:
    """The agent of one node: fencing lease, orders of the controller, facts."""


@command.command()
@click.option("--node", help="Whose agent this is. Default: the node whose address this machine has.")
@click.pass_context
def run(ctx: click.Context, node: str | None) -> None:
    """Run until told to stop. systemd does this; the unit is hactl-agent.service.

    Example:
      hactl agent run --node db1
    """
    from hactl.adapters.own_node import own_node
    from hactl.agent.build import build
    from hactl.agent.build import run as run_agent
    from hactl.wiring_agent import agent_parts

    context = open_context(ctx)
    name = node or own_node(context.spec)
    if name not in context.spec.nodes:
        raise UsageError(f"the spec has no node {name}", hint="hactl spec check")
    parts = agent_parts(context.spec, context.site, name)
    run_agent(build(context.spec, name, parts), parts.events.say)
