"""`hactl node logs`: the journal of one unit on one node."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click

from hactl.cli.context import Context, open_context
from hactl.errors import UsageError

if TYPE_CHECKING:
    from hactl.adapters.ssh import Dispatcher

WITHIN = 25.0  # s: the dispatcher gives journalctl 20


@click.command()
@click.argument("node")
@click.option(
    "--unit", metavar="UNIT", help="Which one; `.service` may be left out. Default: the node's main one."
)
@click.option("--lines", type=click.IntRange(1, 5000), default=50, show_default=True, metavar="N",
              help="How many of the last lines.")  # fmt: skip
@click.option("--follow", is_flag=True, help="Go on with new ones, for an hour at most; Ctrl-C ends it.")
@click.pass_context
def logs(ctx: click.Context, node: str, unit: str | None, lines: int, follow: bool) -> None:
    """Print what a unit of NODE wrote into its journal, over SSH. `--unit list` names the units.

    Example: hactl node logs db1 --unit patroni --lines 200
    """
    context = open_context(ctx)
    if node not in context.spec.nodes:
        raise UsageError(f"the spec has no node {node}", hint="hactl node list")
    known = units(context, node)
    if unit == "list":
        for name in known:
            click.echo(name)
        return
    chosen = _chosen(known, unit, node)
    from hactl.wiring import dispatchers

    dispatcher = dispatchers(context.spec, context.site)[node]
    if not follow:
        click.echo(dispatcher.ask(f"logs {chosen} {lines}", within=WITHIN).decode(errors="replace"), nl=False)
        return
    _follow(dispatcher, f"follow {chosen} {lines}")


def units(context: Context, node: str) -> tuple[str, ...]:
    """What the node's dispatcher tells of, the most important one first."""
    from hactl.render.hactl import told_of

    found = told_of(context.spec, node)
    main = ("patroni.service", "orthanc.service", "hactl-controller.service", "hactl-agent.service")
    first = next((name for name in main if name in found), found[0])
    return (first, *(name for name in found if name != first))


def _chosen(known: tuple[str, ...], unit: str | None, node: str) -> str:
    """Raises UsageError."""
    if unit is None:
        return known[0]
    name = unit if "." in unit else f"{unit}.service"
    if name not in known:
        short = [k.removesuffix(".service") for k in known]
        raise UsageError(f"{node} has no unit {unit} of hactl's", hint=f"one of: {', '.join(short)}")
    return name


def _follow(dispatcher: Dispatcher, sentence: str) -> None:
    stop = threading.Event()
    try:
        dispatcher.follow(sentence, lambda text: click.echo(text, nl=False), stop)
    except KeyboardInterrupt:
        stop.set()  # the way to end it
