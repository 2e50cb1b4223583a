"""`hactl pause`: hands off, for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hactl.cli import explained
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.cli.when import for_a_while, local
from hactl.view.times import iso, span

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.view.control import Dcs
    from hactl.view.pause import Pause

USUAL = 3600.0  # s


@click.command()
@for_a_while(USUAL)
@by_hand.explaining
@click.pass_context
def command(ctx: click.Context, seconds: float, asked: by_hand.Asked) -> None:
    """Take hactl's hands off for a while; it ends by itself.

    hactl then neither fails over nor mends anything. Agents renew leases and guard storages as always, and
    Patroni and keepalived fail over by themselves, slower. Where it is paused already, this takes its place.

    Examples:
      hactl pause --for 4h --reason "new switch in rack 2"
      hactl pause --for 4h --reason "new switch in rack 2" --explain
    """
    by_hand.reason_given(asked, "a pause")
    context = open_context(ctx)
    dcs = keys(context)
    notes = _notes(dcs)
    if asked.explain:
        steps = (f"put the pause into etcd, for {span(seconds)}: it ends by itself, with its lease",)
        explained.plain(context, "pause", steps, notes)
        return
    if asked.dry_run:
        _say(context, _document(context, seconds, notes, done=False))
        return
    for note in notes:
        click.echo(f"  {note}", err=True)
    by_hand.meant(f"Pause hactl for {span(seconds)}?", yes=asked.yes)
    with by_hand.operating(context, "pause", asked.reason) as who:
        made = _run(who, seconds, asked.reason)
    _say(context, _document(context, seconds, notes, done=True, pause=made))


def keys(context: Context) -> Dcs:
    """Hactl's keys in etcd, now. Raises Unreachable."""
    from hactl.view.keys import Keys
    from hactl.view.parse.control import parse_look
    from hactl.wiring import etcd_kv

    names, kv = Keys(context.spec.cluster), etcd_kv(context.spec, context.site)
    try:
        return parse_look(names, kv.ranges(names.look(), within=3.0))
    finally:
        kv.close()


def _notes(dcs: Dcs) -> list[str]:
    """What whoever pauses now should know."""
    notes = []
    if dcs.pause is not None:
        until = f" until {local(dcs.pause.until)}" if dcs.pause.until is not None else ""
        notes.append(
            f"it is paused already{until}, by {dcs.pause.by}: {dcs.pause.reason}; this takes its place"
        )
    if dcs.incident is not None:
        notes.append("an incident is open: hactl does not go on with it until the pause ends")
    if dcs.fences:
        notes.append(f"fenced, and nobody lets it in again meanwhile: {', '.join(dcs.fences)}")
    if dcs.patroni.paused:
        notes.append("Patroni is paused too: nobody at all fails over")
    return notes


def _run(who: Operator, seconds: float, reason: str) -> Pause:
    from hactl.act import pause as acts
    from hactl.view.pause import Pause

    now = who.clock.wall()
    wanted = Pause(who.actor, reason, round(now), round(now + seconds))
    about = {"seconds": round(seconds), "reason": reason}
    with journaled(who, "pause", about, go_on="hactl status; hactl pause, or hactl resume", end="done"):
        acts.pause(who, wanted, seconds)
    return wanted


def _document(
    context: Context, seconds: float, notes: list[str], *, done: bool, pause: Pause | None = None
) -> dict[str, Any]:
    until = None if pause is None or pause.until is None else pause.until
    return {
        "version": 1, "cluster": context.spec.cluster, "paused": done, "seconds": round(seconds),
        "until": None if until is None else iso(until), "notes": notes,
    }  # fmt: skip


def _say(context: Context, data: dict[str, Any]) -> None:
    if context.output != "table":
        emit(data, context.output)
        return
    if not data["paused"]:
        click.echo(f"would pause hactl for {span(data['seconds'])}")
        for note in data["notes"]:
            click.echo(f"  - {note}")
        return
    click.echo(f"{data['cluster']}: hactl is paused for {span(data['seconds'])}; hactl resume ends it before")
