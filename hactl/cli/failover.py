"""`hactl failover --explain`: would the controller fail over now, and why or why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.errors import UsageError

if TYPE_CHECKING:
    from hactl.wiring_controller import ControllerPorts

SECONDS = 2.5  # four looks at 250 ms must fail in a row, and every lease is renewed meanwhile


@click.command()
@click.option("--explain", is_flag=True, help="Print each precondition and proof with its evidence and age.")
@click.option("--to", "to", metavar="NODE", help="Fail over to this node (not there yet).")
@click.option(
    "--for", "seconds", type=click.FloatRange(min=0.5, max=60), default=SECONDS, show_default=True,
    metavar="SECONDS", help="How long to look.",
)  # fmt: skip
@click.pass_context
def command(ctx: click.Context, explain: bool, to: str | None, seconds: float) -> None:
    """Explain whether the controller would fail over now: the tree of its decision.

    Looks with the controller's own functions, so it works while no controller runs. Nothing is changed.

    Example:
      hactl failover --explain
    """
    if to is not None or not explain:
        raise UsageError(
            "a failover by hand is not there yet: hactl fails over by itself when the primary is lost",
            hint="hactl failover --explain; for a planned change of roles: hactl switchover",
        )
    context = open_context(ctx)
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
