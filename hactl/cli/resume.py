"""`hactl resume`: the end of a pause."""

from __future__ import annotations

import click

from hactl.cli import explained
from hactl.cli import operator as by_hand
from hactl.cli.context import open_context
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.cli.pause import keys


@click.command()
@by_hand.explaining
@click.pass_context
def command(ctx: click.Context, asked: by_hand.Asked) -> None:
    """Let hactl act again, before its pause ends by itself. Patroni's own pause is another thing.

    Examples:
      hactl resume --reason "the switch is in"
      hactl resume --explain
    """
    context = open_context(ctx)
    found = keys(context)
    was = found.pause
    if asked.explain:
        notes = () if was is not None else ("hactl is not paused: nothing would be done",)
        steps = ("take the pause out of etcd; the controller goes on at its next look",) if was else ()
        explained.plain(context, "resume", steps, notes)
        return
    if was is not None and not asked.dry_run:
        from hactl.act import pause as acts

        about = {"was": was.reason, "by": was.by, "reason": asked.reason}
        with (
            by_hand.operating(context, "resume", asked.reason) as who,
            journaled(who, "resume", about, go_on="hactl status; hactl resume", end="done"),
        ):
            acts.resume(who)
    if context.output != "table":
        data = {
            "version": 1, "cluster": context.spec.cluster, "was_paused": was is not None,
            "paused": was is not None and asked.dry_run, "patroni_paused": found.patroni.paused,
        }  # fmt: skip
        emit(data, context.output)
        return
    would = "would end the pause" if asked.dry_run else "the pause is over"
    click.echo("hactl is not paused" if was is None else f"{would}: {was.reason}, by {was.by}")
    if found.patroni.paused:
        click.echo("Patroni is still paused: patronictl resume, on a database node")
