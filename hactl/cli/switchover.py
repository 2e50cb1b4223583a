"""`hactl switchover`: the primary's role goes to the standby, while both are healthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import node_common, switchover_pools
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.explained import explain
from hactl.cli.output import emit
from hactl.cli.proposal import Proposal
from hactl.errors import HactlError, Refused, StepFailed, UsageError

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.act.switchover import Means, Switched
    from hactl.adapters.patroni_control import PatroniControl
    from hactl.decide.plan import Veto
    from hactl.decide.switchover import Switch
    from hactl.drill.link import Link

# The monitoring role may see all sessions; its own is none.
OPEN = """
select extract(epoch from clock_timestamp() - xact_start)::float8 from pg_stat_activity
where backend_type = 'client backend' and xact_start is not null and pid <> pg_backend_pid()
"""
ASK_WITHIN = 5.0
COMMIT_WITHIN = 0.25  # s: how exactly the outage is known
CHECKPOINT_WITHIN = 600.0
CONNECT_WITHIN = 3.0
REDUNDANT_WITHIN = 120.0
HEARTBEAT_ROW = 0  # the controllers have 1 and up


@click.command()
@click.option("--to", "to", metavar="NODE", help="The new primary. Default: the standby.")
@click.option("--at", "at", metavar="TIME", help='Later, by the controller: 18:30, "2026-11-22 18:30", +2h.')
@click.option("--list", "task", flag_value="list", help="Show the one that is scheduled.")
@click.option("--cancel", "task", flag_value="cancel", help="Cancel the one that is scheduled.")
@click.option("--end-transactions", "ends", is_flag=True, help="Also if transactions are open for a minute.")
@by_hand.explaining
@click.pass_context
def command(
    ctx: click.Context, to: str | None, at: str | None, task: str | None, ends: bool, asked: by_hand.Asked
) -> None:
    """Give the primary's role to the standby, and say for how long nobody could write.

    Refused with all reasons (exit code 3) unless the standby is synchronous, nothing else is under way and no
    client's transaction has been open for a minute (--end-transactions: it is lost, and that is meant).
    First a checkpoint, so that PostgreSQL stops quickly; then Patroni is asked. Ends when the old primary
    streams as a synchronous standby.

    With --at the active controller does it at that time, or refuses it then with all reasons, in the journal.

    Examples:
      hactl switchover --explain
      hactl switchover --at 22:30 --reason "new RAM"
    """
    from hactl.decide.switchover import may_switch

    context = open_context(ctx)
    if at is not None or task is not None:
        _later(context, to, at, task, asked)
        return
    view = by_hand.look(context)
    switch = may_switch(context.spec, view, to)
    if not ends and switch.primary:
        switch = replace(switch, vetoes=(*switch.vetoes, *_long_transactions(context)))
    steps = (
        "checkpoint", f"switch over from {switch.primary} to {switch.target}",
        "ask each archive node's index until its pool has a connection that lives", "wait for redundancy",
    )  # fmt: skip
    ended = switchover_pools.notes(context, view, _ask) if switch.primary else ()
    if asked.explain:
        explain(context, _proposal(switch, steps, ended, ends=ends))
        return
    if asked.dry_run:
        _say(context, switch, steps if not switch.vetoes else (), ended)
        return
    if switch.vetoes:
        raise Refused("no switchover", by_hand.sentences(switch.vetoes), hint="hactl status")
    for note in ended:
        node_common.progress(note)
    by_hand.meant(f"Switch over from {switch.primary} to {switch.target}?", yes=asked.yes)
    about = f"switchover from {switch.primary} to {switch.target}"
    with by_hand.operating(context, about, asked.reason) as who:
        _still_may(context, switch)
        found = run(context, who, switch, asked.reason)
    _say(context, switch, steps, ended, found)


def _proposal(switch: Switch, steps: tuple[str, ...], notes: tuple[str, ...], *, ends: bool) -> Proposal:
    """For --explain."""
    idle = dict.fromkeys(("TRANSACTIONS_UNKNOWN", "LONG_TRANSACTION"), "--end-transactions") if ends else {}
    more = {"from": switch.primary or None, "to": switch.target or None}
    return Proposal(
        "switchover", switch.target, "", "no switchover", steps, switch.vetoes, notes, more=more, idle=idle
    )


def _later(context: Context, to: str | None, at: str | None, task: str | None, asked: by_hand.Asked) -> None:
    from hactl.cli import switchover_at

    if at is not None and task is not None:
        raise UsageError(f"--at and --{task}: give one of them")
    if at is not None:
        switchover_at.schedule(context, at, to, asked)
    elif task == "list":
        switchover_at.show(context)
    else:
        switchover_at.cancel(context, asked)


def _still_may(context: Context, switch: Switch) -> None:
    """What was true when the question was asked need not be true any more. Raises Refused."""
    from hactl.decide.switchover import may_switch

    now = may_switch(context.spec, by_hand.look(context), switch.target)
    if now.vetoes or now.primary != switch.primary:
        moved = "" if now.primary == switch.primary else f"the primary is {now.primary or 'nobody'} now"
        vetoes = [*filter(None, [moved]), *by_hand.sentences(now.vetoes)]
        raise Refused("no switchover", vetoes, hint="hactl status")


def run(context: Context, who: Operator, switch: Switch, reason: str) -> Switched:
    """Raises Unreachable (nothing was begun), StepFailed (with the last thing that was done)."""
    from hactl.act import maintenance
    from hactl.act import switchover as acts

    means = means_of(context, switch)
    about = {"from": switch.primary, "to": switch.target}
    with node_common.journaled(
        who, "switchover", {**about, "reason": reason}, go_on="hactl status",
        cut="interrupted; what Patroni was told it goes on with",
    ) as result:  # fmt: skip
        found = acts.switch(means, switch.target)
        result["outage"] = round(found.outage, 3)
    for line in switchover_pools.whole(context):
        node_common.progress(line)
    means.say(f"{switch.target} is the primary; longest time without a commit: {found.outage:.2f} s")
    if not maintenance.wait_until(who, lambda: _redundant(context, switch), REDUNDANT_WITHIN):
        raise StepFailed(
            f"{switch.primary} does not stream as a synchronous standby",
            last_done=f"{switch.target} is the primary",
            hint="hactl status; hactl doctor",
        )
    return found


def _redundant(context: Context, switch: Switch) -> bool:
    from hactl.view import derive

    members = {m.name: m for m in derive.members(by_hand.look(context))}
    return bool(members[switch.primary].sync) and members[switch.primary].state == "streaming"


def means_of(context: Context, switch: Switch) -> Means:
    from hactl.act.switchover import Means
    from hactl.adapters.clock import SystemClock
    from hactl.adapters.heartbeat import VipHeartbeat
    from hactl.wiring_controller import heartbeat_conninfo

    spec, site = context.spec, context.site
    heart = VipHeartbeat(heartbeat_conninfo(spec, site), row=HEARTBEAT_ROW, by="switchover")
    control = patroni(context, switch.primary)
    return Means(
        checkpoint=lambda: _checkpoint(context),
        ask=lambda: control.switch_over(switch.primary, switch.target),
        commit=lambda: heart.beat(COMMIT_WITHIN).node,
        clock=SystemClock(),
        say=lambda text: click.echo(f"  {text}", err=True),
    )


def patroni(context: Context, node: str) -> PatroniControl:
    """The half of its REST API that changes something. Raises Refused: no password for it here."""
    from hactl import layout
    from hactl.adapters.http import HttpsClient
    from hactl.adapters.patroni_control import PatroniControl
    from hactl.render.patroni import REST_USER

    base = f"https://{context.spec.nodes[node].address}:{layout.PORT_PATRONI}"
    http = HttpsClient(context.site.ca, context.site.cert, context.site.key)
    return PatroniControl(http, base, REST_USER, password(context))


def password(context: Context) -> str:
    """Patroni's REST password: it lies in the operator's state folder, and in no node's /etc/hactl."""
    from hactl.pki.store import Store

    if context.site.on_node:
        raise Refused("a node does not have Patroni's password", hint="run this where `hactl deploy` runs")
    return Store(context.site.state).secrets().patroni_rest.value


def _long_transactions(context: Context) -> tuple[Veto, ...]:
    """What is not known is a veto too."""
    from hactl.decide.plan import Veto
    from hactl.decide.switchover import long_transactions

    try:
        rows = _ask(context, OPEN, ASK_WITHIN)
    except HactlError as error:
        return (Veto("TRANSACTIONS_UNKNOWN", "which transactions are open is not known", error.message),)
    return long_transactions([float(age) for (age,) in rows])


def _checkpoint(context: Context) -> None:
    _ask(context, "CHECKPOINT", CHECKPOINT_WITHIN)


def _ask(context: Context, sql: str, within: float) -> list[tuple[Any, ...]]:
    """Of the primary. Raises Unreachable, StepFailed."""
    import psycopg2

    from hactl.drill.link import first_line

    link = monitor(context)
    try:
        return link.run(sql, within=within)
    except psycopg2.Error as error:
        raise StepFailed(first_line(error)) from error
    finally:
        link.close()


def monitor(context: Context) -> Link:
    """To the primary, as the monitoring role through the VIP. Raises Unreachable."""
    from hactl import layout
    from hactl.drill.link import Link
    from hactl.wiring_controller import heartbeat_conninfo

    role = {"user": layout.ROLE_MONITOR, "dbname": "postgres"}
    return Link.open({**heartbeat_conninfo(context.spec, context.site), **role}, CONNECT_WITHIN)


def _say(
    context: Context, switch: Switch, steps: tuple[str, ...], notes: tuple[str, ...] = (),
    found: Switched | None = None,
) -> None:  # fmt: skip
    if context.output != "table":
        data: Mapping[str, object] = {
            "version": 1, "cluster": context.spec.cluster, "from": switch.primary, "to": switch.target,
            "steps": list(steps), "vetoes": by_hand.vetoed(switch.vetoes), "notes": list(notes),
            "outage_seconds": None if found is None else round(found.outage, 3),
        }  # fmt: skip
        emit(data, context.output)
        return
    if found is not None:
        click.echo(f"{switch.target} is the primary, {switch.primary} its synchronous standby")
        return
    for step in steps:
        click.echo(f"would {step}")
    for note in notes:
        click.echo(f"  {note}")
    for sentence in by_hand.sentences(switch.vetoes):
        click.echo(f"  - {sentence}")
