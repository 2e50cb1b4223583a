"""`hactl failover`: by hand; and --explain: would the controller fail over now, and why or why not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import UsageError

if TYPE_CHECKING:
    from hactl.wiring_controller import ControllerPorts

SECONDS = 2.5  # four looks at 250 ms must fail in a row, and every lease is renewed meanwhile


@click.command()
@click.option("--explain", is_flag=True, help="Print each precondition and proof with its evidence and age.")
@click.option("--to", "to", metavar="NODE", help="Fail over to this node, by hand.")
@click.option("--force", is_flag=True, help="Overrule what --dry-run calls soft. It may lose commits.")
@click.option("--keep-fenced", is_flag=True, help="Do not let the old primary in again afterwards.")
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0.5, max=60), default=SECONDS, show_default=True,
    metavar="SECONDS", help="With --explain: how long to look.",
)  # fmt: skip
@by_hand.acting
@click.pass_context
def command(
    ctx: click.Context, /, explain: bool, to: str | None, seconds: float, asked: by_hand.Asked, **how: bool
) -> None:
    """Fail over by hand (--to NODE), or explain whether the controller would now (--explain).

    For when the controller's own decision is vetoed or paused, or no controller is alive: hactl fails over by
    itself when the primary is lost. The old primary is fenced and proved silent first, always; nothing
    overrules that. --force overrules the rest: read with --dry-run what would be lost. It needs --reason,
    and the cluster's name typed, or --yes.

    --explain looks with the controller's own functions, and works while no controller runs.

    Example:
      hactl failover --to db2 --dry-run
    """
    context = open_context(ctx)
    if to is None and not explain:
        raise UsageError(
            "say to which node, or --explain: hactl fails over by itself when the primary is lost",
            hint="hactl failover --to NODE --dry-run; for a planned change of roles: hactl switchover",
        )
    if explain and (to is None or context.output == "table"):  # one document, not two
        _explain(context, seconds)
    if to is not None:
        from hactl.cli import failover_by_hand

        if explain:
            asked = replace(asked, dry_run=True)
        failover_by_hand.run(context, to, asked, force=how["force"], keep=how["keep_fenced"])


def _explain(context: Context, seconds: float) -> None:
    from hactl.cli.live import watch
    from hactl.decide.explain import as_object, lines
    from hactl.decide.explain import explain as explained

    seen = watch(context.spec, ports(context), seconds)
    tree = explained(seen.spec, seen.view, seen.memory, seen.now)
    if context.output != "table":
        head = {"version": 1, "cluster": context.spec.cluster, "controller": seen.active}
        emit({**head, "tree": as_object(tree)}, context.output)
        return
    for line in lines(tree):
        colour = {"+": "green", "-": "red"}.get(line.strip()[:1])
        click.echo(click.style(line, fg=colour))


def ports(context: Context) -> ControllerPorts:
    """What the controller would ask. It would run on a witness, so etcd there is asked first."""
    from hactl.wiring_controller import controller_ports

    witness = next(iter((*context.spec.witnesses, *context.spec.voters)))
    return controller_ports(context.spec, context.site, witness)
