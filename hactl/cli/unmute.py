"""`hactl unmute`: hear of a health code again."""

from __future__ import annotations

import click

from hactl.cli import explained
from hactl.cli import operator as by_hand
from hactl.cli.context import open_context
from hactl.cli.mute import known
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.cli.pause import keys


@click.command()
@click.argument("code")
@click.argument("node", required=False)
@by_hand.explaining
@click.pass_context
def command(ctx: click.Context, code: str, node: str | None, asked: by_hand.Asked) -> None:
    """End a mute, as it was made: of CODE, or of CODE and NODE.

    Examples:
      hactl unmute STANDBY_LOST
      hactl unmute STANDBY_LOST --explain
    """
    code, subject = known(code), node or ""
    context = open_context(ctx)
    was = any((m.code, m.subject) == (code, subject) for m in keys(context).mutes)
    name = f"{code} {subject}".rstrip()
    if asked.explain:
        steps = (f"take the mute of {name} out of etcd",) if was else ()
        explained.plain(context, "unmute", steps, () if was else (f"{name} is not muted",), locked=False)
        return
    if was and not asked.dry_run:
        from hactl.act import pause as acts

        who, about = by_hand.operator(context), {"code": code, "subject": subject, "reason": asked.reason}
        with journaled(who, "unmute", about, go_on="hactl mute --list", end="done"):
            acts.unmute(who, code, subject)
    if context.output != "table":
        data = {"version": 1, "cluster": context.spec.cluster, "code": code, "subject": subject}
        emit({**data, "was_muted": was, "muted": was and asked.dry_run}, context.output)
        return
    said = "would be heard of again" if asked.dry_run else "is heard of again"
    click.echo(f"{name} {said}" if was else f"{name} is not muted")
