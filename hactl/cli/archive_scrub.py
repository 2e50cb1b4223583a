"""`hactl archive scrub`: read all images and find what is not as it was."""

from __future__ import annotations

from typing import Any

import click

from hactl.cli.context import open_context
from hactl.view.archive_kind import Ability

NODES = click.option("--node", "chosen", multiple=True, metavar="NODE", help="Only this archive node.")


@click.group("scrub")
def command() -> None:
    """Read all images through: bit flips, truncated, missing and foreign files."""


@command.command()
@NODES
@click.option("--follow", is_flag=True, help="Show how far it is, until it ends.")
@click.pass_context
def start(ctx: click.Context, chosen: tuple[str, ...], follow: bool) -> None:
    """Begin, or go on where the last one was interrupted; on the first archive node unless one is named.

    Example:
      hactl archive scrub start --follow
    """
    from hactl.cli import integrity_source as source

    context = open_context(ctx)
    asks = source.nodes(context, chosen, Ability.SCRUB, one=True)
    for node, ask in asks.items():
        ask("scrub-start", source.START_WITHIN)
        click.echo(f"{node}: scrub started; hactl archive scrub status --node {node}")
    if follow:
        _followed(asks)


@command.command()
@NODES
@click.pass_context
def stop(ctx: click.Context, chosen: tuple[str, ...]) -> None:
    """Interrupt it; the next start goes on from there.

    Example:
      hactl archive scrub stop --node arc1
    """
    from hactl.cli import integrity_source as source

    for node, ask in source.nodes(open_context(ctx), chosen, Ability.SCRUB).items():
        ask("scrub-stop", source.START_WITHIN)
        click.echo(f"{node}: scrub stopped")


@command.command()
@NODES
@click.option("--watch", is_flag=True, help="Until it ends.")
@click.pass_context
def status(ctx: click.Context, chosen: tuple[str, ...], watch: bool) -> None:
    """How far it is, and what is marked as damaged. Exit code 7 if anything is.

    Example:
      hactl archive scrub status
    """
    from rich.console import Console

    from hactl.cli import integrity_source as source
    from hactl.cli import integrity_view as view
    from hactl.cli.output import emit

    context = open_context(ctx)
    asks = source.nodes(context, chosen, Ability.SCRUB)
    if watch and context.output == "table":
        _followed(asks)
    states = source.states(asks)
    if context.output == "table":
        Console().print(view.scrub_table(states))
    else:
        emit(states, context.output)
    _damaged(states)


@command.command()
@NODES
@click.pass_context
def report(ctx: click.Context, chosen: tuple[str, ...]) -> None:
    """The last whole scrub of each node, object by object.

    Example:
      hactl archive scrub report --node arc1
    """
    from hactl.cli import integrity_source as source
    from hactl.cli import integrity_view as view
    from hactl.cli.output import emit

    context = open_context(ctx)
    asks = source.nodes(context, chosen, Ability.SCRUB)
    found = {node: ask("scrub-report", source.WITHIN) for node, ask in asks.items()}
    if context.output != "table":
        emit(found, context.output)
        return
    for node, one in found.items():
        for line in view.scrub_lines(one):
            click.echo(f"{node}: {line}")


@command.command()
@click.pass_context
def run(ctx: click.Context) -> None:
    """Do it here, now. hactl-scrub.service does this on an archive node.

    Example:
      hactl archive scrub run
    """
    from hactl.adapters.events import EventLog
    from hactl.adapters.own_node import own_node
    from hactl.integrity import programs
    from hactl.integrity.build import Here
    from hactl.wiring_archive import refuse_unless

    context, stop = open_context(ctx), programs.stopping()
    refuse_unless(context.spec, Ability.SCRUB)
    node = own_node(context.spec)
    here = Here(context.spec, context.site, node, stop.wait, stop.is_set)
    programs.scrub(here, EventLog(f"scrub {node}").say)


def _followed(asks: dict[str, Any]) -> None:
    from hactl.cli import integrity_source as source
    from hactl.cli import integrity_view as view

    view.watch_scrub(lambda: source.states(asks))


def _damaged(states: dict[str, dict[str, object]]) -> None:
    from hactl.cli import integrity_view as view
    from hactl.errors import NotHealthy

    bad = [node for node, state in states.items() if view.damaged(state)]
    if bad:
        raise NotHealthy(
            f"images are damaged, as seen from {', '.join(bad)}", hint="hactl archive scrub report"
        )
