"""`hactl switchover --at · --list · --cancel`: a switchover that the active controller does at its time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.explained import plain
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.cli.pause import keys
from hactl.cli.when import LONGEST, local, moment
from hactl.errors import Refused, UsageError
from hactl.view.times import iso, span

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.view.scheduled import Scheduled

WAYS = "hactl switchover --list; hactl switchover --cancel"


def schedule(context: Context, text: str, to: str | None, asked: by_hand.Asked) -> None:
    """Raises UsageError: not a time to come, or no such node; Refused: one is scheduled already."""
    import time

    at = moment(text).timestamp()
    if not 0 < at - time.time() <= LONGEST:
        raise UsageError(f"{local(at)} is not within the next {span(LONGEST)}")
    if to is not None and to not in context.spec.databases:
        raise UsageError(f"{to} is no database node", hint=f"one of: {', '.join(context.spec.databases)}")
    notes = _now_against(context, to)
    there = keys(context).scheduled
    if there is not None:
        raise Refused(f"one is scheduled already: {_sentence(there)}", hint="hactl switchover --cancel")
    if asked.explain:
        plain(context, "switchover-scheduled", (
            f"put the switchover into etcd, for {local(at)}",
            "then the active controller looks anew: it does it, or says in the journal why not",
        ), [f"now it would be refused: {note}" for note in notes], locked=False)  # fmt: skip
        return
    if asked.dry_run:
        data = {"scheduled": None, "at": iso(at), "notes": notes}
        _say(context, data, [f"would be done at {local(at)}", *(f"  - {note}" for note in notes)])
        return
    for note in notes:
        click.echo(f"  now it would be refused: {note}", err=True)
    by_hand.meant(f"Switch over to {to or 'the standby'} at {local(at)}?", yes=asked.yes)
    made = _put(by_hand.operator(context), at, to or "", asked.reason)
    _say(context, {"scheduled": as_data(made), "notes": notes}, [f"scheduled: {_sentence(made)}"])


def _now_against(context: Context, to: str | None) -> list[str]:
    from hactl.decide.switchover import may_switch

    return by_hand.sentences(may_switch(context.spec, by_hand.look(context), to).vetoes)


def _put(who: Operator, at: float, to: str, reason: str) -> Scheduled:
    from hactl.act import maintenance
    from hactl.view.kv import Put, absent
    from hactl.view.parse.by_hand import scheduled_text
    from hactl.view.scheduled import Scheduled

    made = Scheduled(secrets.token_hex(4), round(at), to, who.actor, reason)
    about, key = {"id": made.id, "at": iso(at), "to": to, "reason": reason}, who.keys.scheduled
    with journaled(who, "switchover-scheduled", about, go_on=WAYS, end="done"):
        put = (Put(key, scheduled_text(made)),)
        if not who.kv.txn((absent(key),), put, within=maintenance.WITHIN).succeeded:
            raise Refused("one has just been scheduled", hint="hactl switchover --list")
    return made


def show(context: Context) -> None:
    found = keys(context).scheduled
    data = {"scheduled": None if found is None else as_data(found)}
    _say(context, data, ["no switchover is scheduled" if found is None else _sentence(found)])


def cancel(context: Context, asked: by_hand.Asked) -> None:
    """Raises Refused: it has just changed, or begun."""
    from hactl.act import maintenance
    from hactl.view.kv import Delete, value_is
    from hactl.view.parse.by_hand import scheduled_text

    found = keys(context).scheduled
    if asked.explain:
        steps = () if found is None else (f"take it out of etcd: {_sentence(found)}",)
        notes = ("no switchover is scheduled",) if found is None else ()
        plain(context, "switchover-cancelled", steps, notes, locked=False)
        return
    if found is not None and not asked.dry_run:
        who = by_hand.operator(context)
        same, key = value_is(who.keys.scheduled, scheduled_text(found)), who.keys.scheduled
        about = {"id": found.id, "reason": asked.reason}
        with journaled(who, "switchover-cancelled", about, go_on=WAYS, end="done"):
            if not who.kv.txn((same,), (Delete(key),), within=maintenance.WITHIN).succeeded:
                raise Refused("it has just been begun, dropped or changed", hint="hactl journal tail")
    word = "would be cancelled" if asked.dry_run else "cancelled"
    data = {"cancelled": None if found is None else as_data(found)}
    _say(context, data, ["no switchover is scheduled" if found is None else f"{word}: {_sentence(found)}"])


def as_data(found: Scheduled) -> dict[str, Any]:
    return {"id": found.id, "at": iso(found.at), "to": found.target, "by": found.by, "reason": found.reason}


def _sentence(found: Scheduled) -> str:
    why = f": {found.reason}" if found.reason else ""
    return f"to {found.target or 'the standby'} at {local(found.at)}, by {found.by}{why}"


def _say(context: Context, data: dict[str, Any], lines: list[str]) -> None:
    if context.output != "table":
        emit({"version": 1, "cluster": context.spec.cluster, **data}, context.output)
        return
    for line in lines:
        click.echo(line)
