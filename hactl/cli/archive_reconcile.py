"""`hactl archive reconcile`: the image storage against the index, both ways."""

from __future__ import annotations

import click

from hactl.cli.context import open_context
from hactl.view.archive_kind import Ability

NODES = click.option("--node", "chosen", multiple=True, metavar="NODE", help="Only this archive node.")


@click.group("reconcile")
def command() -> None:
    """Compare storage and index; store images again whose rows a failover lost."""


@command.command()
@NODES
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.pass_context
def start(ctx: click.Context, chosen: tuple[str, ...], dry_run: bool) -> None:
    """Begin, on the first archive node unless one is named. After a failover hactl does this by itself.

    Example:
      hactl archive reconcile start --node arc1
    """
    from hactl.cli import integrity_source as source

    for node, ask in source.nodes(open_context(ctx), chosen, Ability.RECONCILE, one=True).items():
        ask("reconcile-dry" if dry_run else "reconcile-start", source.START_WITHIN)
        click.echo(f"{node}: reconcile started; hactl archive reconcile report --node {node}")


@command.command()
@NODES
@click.pass_context
def report(ctx: click.Context, chosen: tuple[str, ...]) -> None:
    """What runs, and what the last one found and did, file by file.

    Example:
      hactl archive reconcile report --node arc1
    """
    from hactl.cli import integrity_source as source
    from hactl.cli import integrity_view as view
    from hactl.cli.output import emit

    context = open_context(ctx)
    asks = source.nodes(context, chosen, Ability.RECONCILE)
    states = source.states(asks)
    found = {node: {"state": states[node].get("reconcile"), "report": None} for node in asks}
    for node, ask in asks.items():
        if "unknown" not in states[node]:
            found[node]["report"] = ask("reconcile-report", source.WITHIN)
    if context.output != "table":
        emit(found, context.output)
        return
    for node, one in found.items():
        state = one["state"] or {}
        what = states[node].get("unknown") or " ".join(filter(None, (state.get("state"), state.get("why"))))
        click.echo(f"{node}: {what or 'never'}")
        for line in view.reconcile_lines(one["report"]):
            click.echo(f"{node}: {line}")


@command.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option(
    "--since", metavar="DURATION", help="Files up to this old, of which nothing is known, too: 30d."
)
@click.option("--force", is_flag=True, help="Also when most files have no row.")
@click.pass_context
def run(ctx: click.Context, dry_run: bool, since: str | None, force: bool) -> None:
    """Do it here, now. hactl-reconcile.service does this on an archive node.

    Examples:
      hactl archive reconcile run --dry-run
      hactl archive reconcile run --since 30d
    """
    import time

    from hactl.adapters.events import EventLog
    from hactl.adapters.own_node import own_node
    from hactl.errors import UsageError
    from hactl.integrity import programs
    from hactl.integrity.build import Here
    from hactl.integrity.reconcile import stages
    from hactl.units import Seconds
    from hactl.wiring_archive import refuse_unless

    context, stop = open_context(ctx), programs.stopping()
    try:
        begin = None if since is None else time.time() - Seconds.parse(since).value
    except ValueError as error:
        raise UsageError(str(error)) from error
    refuse_unless(context.spec, Ability.RECONCILE)
    node = own_node(context.spec)
    here = Here(context.spec, context.site, node, stop.wait, stop.is_set)
    say = EventLog(f"reconcile {node}").say
    result = programs.reconcile(here, say, dry=dry_run, since=begin, force=force)
    for line in stages(result):
        click.echo(line)
