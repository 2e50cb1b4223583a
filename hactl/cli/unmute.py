"""`hactl unmute`: hear of a health code again."""

from __future__ import annotations

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import open_context
from hactl.cli.mute import known
from hactl.cli.output import emit
from hactl.cli.pause import keys


@click.command()
@click.argument("code")
@click.argument("node", required=False)
@by_hand.acting
@click.pass_context
def command(ctx: click.Context, code: str, node: str | None, asked: by_hand.Asked) -> None:
    """End a mute, as it was made: of CODE, or of CODE and NODE.

    Example: hactl unmute STANDBY_LOST
    """
    code, subject = known(code), node or ""
    context = open_context(ctx)
    was = any((m.code, m.subject) == (code, subject) for m in keys(context).mutes)
    name = f"{code} {subject}".rstrip()
    if was and not asked.dry_run:
        from hactl.act import maintenance
        from hactl.act import pause as acts

        who = by_hand.operator(context)
        maintenance.note(who, "unmute", {"code": code, "subject": subject, "reason": asked.reason})
        acts.unmute(who, code, subject)
    if context.output != "table":
        data = {"version": 1, "cluster": context.spec.cluster, "code": code, "subject": subject}
        emit({**data, "was_muted": was, "muted": was and asked.dry_run}, context.output)
        return
    said = "would be heard of again" if asked.dry_run else "is heard of again"
    click.echo(f"{name} {said}" if was else f"{name} is not muted")
