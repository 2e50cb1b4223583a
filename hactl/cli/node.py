"""`hactl node`: single nodes."""

from __future__ import annotations

import click

from hactl.cli import node_fence, node_logs, node_recover, node_restart, node_show, node_stop
from hactl.cli import operator as by_hand
from hactl.cli.context import open_context
from hactl.cli.output import emit
from hactl.errors import Refused, UsageError


@click.group()
def command() -> None:
    """Look after single nodes: each act is refused with all reasons, journaled, and has a --dry-run."""


for _act in (
    node_restart.command, node_stop.stop, node_stop.start, node_stop.maintenance, node_recover.rejoin,
    node_recover.reinit, node_fence.fence, node_fence.unfence,
):  # fmt: skip
    command.add_command(_act)


for _look in (node_show.list_nodes, node_show.show, node_logs.logs):
    command.add_command(_look)


@command.command("ok-to-stop")
@click.argument("node")
@click.pass_context
def ok_to_stop(ctx: click.Context, node: str) -> None:
    """Say whether anything would break if NODE were switched off now; exit 3 with all reasons if so.

    Nothing is done, and nothing is reserved: ask again when you are about to do it.

    Example:
      hactl node ok-to-stop db1
    """
    context = open_context(ctx)
    if node not in context.spec.nodes:
        raise UsageError(f"the spec has no node {node}", hint="hactl status")
    from hactl.decide import maintenance

    answer = maintenance.asked_by_anybody(context.spec, by_hand.look(context, node), node)
    if context.output != "table":
        emit(
            {
                "version": 1, "cluster": context.spec.cluster, "node": node, "ok": answer.ok,
                "vetoes": by_hand.vetoed(answer.vetoes), "notes": list(answer.notes),
            },
            context.output,
        )  # fmt: skip
    elif answer.ok:
        click.echo(f"{node} may be stopped")
        for note in answer.notes:
            click.echo(f"  {note}")
    if not answer.ok:
        raise Refused(
            f"{node} must not be stopped now", by_hand.sentences(answer.vetoes), hint="hactl status"
        )
