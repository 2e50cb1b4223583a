"""`hactl approve`: a second person says yes to what a first one is waiting with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.output import emit
from hactl.cli.when import local
from hactl.errors import Refused
from hactl.view.times import iso

if TYPE_CHECKING:
    from hactl.view.approval import Request


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@by_hand.acting
@click.pass_context
def command(ctx: click.Context, id_: str | None, asked: by_hand.Asked) -> None:
    """Approve what another person waits with; without ID list what waits.

    Where the spec says `access.two_person`, a failover by hand waits up to ten minutes for a second person
    with the role `dangerous`. Both come through the gate, which is how they are told apart.

    Examples:
      hactl approve
      hactl approve 3fa91c
    """
    from hactl.act import approvals

    context = open_context(ctx)
    who = by_hand.operator(context)
    waiting = approvals.requests(who)
    if id_ is None:
        _list(context, waiting)
        return
    found = next((r for r in waiting if r.id == id_), None)
    if found is None:
        raise Refused(f"nothing waits under {id_}", hint="hactl approve")
    if context.output == "table" or not asked.yes:
        for line in _lines(found):
            click.echo(line, err=True)
    if asked.dry_run:
        _show(context, found, done=False)
        return
    by_hand.meant(f"Approve that {found.person} does this?", yes=asked.yes)
    approvals.approve(who, found, asked.reason)
    _show(context, found, done=True)


def _list(context: Context, waiting: list[Request]) -> None:
    if context.output != "table":
        data = {"version": 1, "cluster": context.spec.cluster, "requests": [as_data(r) for r in waiting]}
        emit(data, context.output)
        return
    for request in waiting:
        click.echo("\n".join(_lines(request)))
    if not waiting:
        click.echo("nothing waits for approval")


def _show(context: Context, request: Request, *, done: bool) -> None:
    if context.output != "table":
        data = {"version": 1, "cluster": context.spec.cluster, "approved": done, "request": as_data(request)}
        emit(data, context.output)
        return
    click.echo(f"{'approved' if done else 'would approve'}: {request.what}, asked for by {request.by}")


def _lines(request: Request) -> list[str]:
    why = f": {request.reason}" if request.reason else ""
    head = f"{request.id}  {request.what}, by {request.by}, until {local(request.until)}{why}"
    return [head, *(f"        {line}" for line in request.details)]


def as_data(request: Request) -> dict[str, Any]:
    return {
        "id": request.id, "what": request.what, "details": list(request.details), "person": request.person,
        "by": request.by, "reason": request.reason, "since": iso(request.since), "until": iso(request.until),
    }  # fmt: skip
