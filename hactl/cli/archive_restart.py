"""`hactl archive restart`: Orthanc on one node, started again without a client noticing."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from hactl.cli import archive_drain
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.explained import explain
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.errors import Refused, StepFailed
from hactl.view.archive_kind import Ability

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator

ACT_WITHIN = 65.0  # s: the agent gives root's act 60
READY_WITHIN = 90.0  # s: Orthanc waits for its index, and a failover may be under way


@click.command("restart")
@click.argument("node")
@click.option("--force", is_flag=True, help="Also if no other node can take over meanwhile.")
@by_hand.explaining
@click.pass_context
def command(ctx: click.Context, node: str, force: bool, asked: by_hand.Asked) -> None:
    """Drain NODE, start its Orthanc again, wait until it reaches its index, and let NODE in again.

    A node that was drained before stays drained.

    Examples:
      hactl archive restart arc1 --explain
      hactl archive restart arc1 --reason 'it hangs'
    """
    from hactl.wiring_archive import unit

    context = archive_drain.archive_context(ctx, node, Ability.RESTART)
    view = by_hand.look(context, node)
    drained = bool(archive_drain.drained_by(view, node))
    vetoes = [] if drained else archive_drain.refused_by(context, view, node, force=force)
    steps = [
        *(() if drained else (f"drain {node}",)),
        f"restart {unit(context.spec)}",
        *(() if drained else (f"undrain {node}",)),
    ]
    if asked.explain:
        found = archive_drain.drain_proposal(context, view, node, force=force)
        about = "it is drained already, and stays so" if drained else ""
        explain(context, replace(
            found, action="archive-restart", refused=f"{node} is not restarted", steps=tuple(steps),
            vetoes=() if drained else found.vetoes, asks=("archive-restart",) if drained else ("drain",),
            notes=(about,) if about else (),
        ), again=False)  # fmt: skip
        return
    if asked.dry_run:
        _say(context, node, steps, vetoes)
        return
    if vetoes:
        raise Refused(f"Orthanc on {node} is not restarted", vetoes, hint="hactl archive list; --force")
    by_hand.meant(f"Restart Orthanc on {node}?", yes=asked.yes)
    with by_hand.operating(context, f"archive restart {node}", asked.reason) as who:
        restart(context, who, node, asked.reason, drained=drained, force=force)
    _say(context, node, steps, [])


def restart(context: Context, who: Operator, node: str, reason: str, *, drained: bool, force: bool) -> None:
    """Raises StepFailed: it is left drained; Refused: nothing was begun, and it serves as before."""
    from hactl.act import maintenance
    from hactl.view.control import Order
    from hactl.wiring_archive import unit

    program = unit(context.spec)
    why = reason or "restart"
    if not drained:
        archive_drain.begin(context, who, node, reason=why, within=None, force=force)
    about = {"node": node, "unit": program, "reason": reason}
    with journaled(who, "archive-restart", about, go_on=archive_drain.WAYS.format(node=node)):
        try:
            maintenance.order(who, Order(node, secrets.token_hex(4), "restart", program), within=ACT_WITHIN)
        except Refused:
            if not drained:
                maintenance.undrain(who, node)
            raise
        if not maintenance.wait_until(who, lambda: reaches_its_index(context, node), READY_WITHIN):
            raise StepFailed(
                f"Orthanc on {node} does not reach its index",
                last_done=f"{program} was restarted; {node} is drained",
                hint=f"hactl archive check {node}",
            )
        if not drained:
            maintenance.undrain(who, node)


def reaches_its_index(context: Context, node: str) -> bool:
    from hactl.wiring import status_ports

    return status_ports(context.spec, context.site).archives[node].index().ok


def _say(context: Context, node: str, steps: list[str], vetoes: list[str]) -> None:
    if context.output != "table":
        emit(
            {"version": 1, "cluster": context.spec.cluster, "node": node, "steps": steps, "vetoes": vetoes},
            context.output,
        )
        return
    click.echo(f"{node}: {', '.join(steps)}")
    for veto in vetoes:
        click.echo(f"  - {veto}")
