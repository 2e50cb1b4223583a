"""`hactl node rejoin · reinit`: a standby that does not follow, by the controller's own means."""

from __future__ import annotations

import contextlib
import functools
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from hactl.cli import node_common
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.proposal import Proposal
from hactl.errors import HactlError, StepFailed

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.act.node_recover import Means, Progress

WITHIN = 300.0  # s without anything at work there
LONGEST = 6 * 3600.0  # s for a rewind or a copy that is at work
ORDER_WITHIN = 65.0


@click.command("rejoin")
@click.argument("node")
@by_hand.explaining
@click.pass_context
def rejoin(ctx: click.Context, node: str, asked: by_hand.Asked) -> None:
    """Have the standby NODE follow the primary again: its Patroni is restarted, and looks anew.

    It recovers, rewinds (commits that only NODE had are counted and kept before) or copies as it finds
    necessary: the first rung of what the controller does by itself, without its waiting.

    Examples:
      hactl node rejoin db1 --explain
      hactl node rejoin db1
    """
    from hactl.decide.node_recovery import may_rejoin

    context = node_common.database_context(ctx, node)

    def propose() -> Proposal:
        answer = may_rejoin(by_hand.look(context, node), node)
        steps = (f"restart patroni.service on {node}", f"wait until {node} streams")
        return Proposal(
            "rejoin", node, f"Restart Patroni on {node}?", f"{node} is left as it is", steps, answer.vetoes,
            answer.notes, "hactl status; hactl doctor",
        )  # fmt: skip

    _act(context, node, asked, propose, _restart_patroni)


@click.command("reinit")
@click.argument("node")
@click.option("--force", is_flag=True, help="Also a synchronous standby that is well.")
@by_hand.explaining
@click.pass_context
def reinit(ctx: click.Context, node: str, force: bool, asked: by_hand.Asked) -> None:
    """Copy the standby NODE anew from the primary, by Patroni. Never the last good copy.

    Its old data are kept aside where there is room (docs/recovery.md). Refused if any doubt is left whether
    another node has everything; --force only lets go a synchronous standby that streams.

    Examples:
      hactl node reinit db1 --explain
      hactl node reinit db1
    """
    from hactl.decide.node_recovery import may_reinit

    context = node_common.database_context(ctx, node)

    def propose() -> Proposal:
        answer = may_reinit(context.spec, by_hand.look(context, node), node, force=force)
        steps = (f"copy {node} anew from the primary", f"wait until {node} streams")
        question = f"Throw away what {node} has, and copy it anew?"
        return Proposal(
            "reinit", node, question, f"{node} is not copied anew", steps, answer.vetoes, answer.notes,
            "hactl status; hactl doctor",
        )  # fmt: skip

    _act(context, node, asked, propose, _reinitialize)


def _act(
    context: Context, node: str, asked: by_hand.Asked, propose: Callable[[], Proposal],
    order: Callable[[Context, Operator, str], None],
) -> None:  # fmt: skip
    from hactl.act import node_recover

    found = propose()
    if not node_common.go_ahead(context, found, asked):
        return
    with by_hand.operating(context, f"node {found.action} {node}", asked.reason) as who:
        node_common.still(found, propose())
        about = {"node": node, "reason": asked.reason}
        go_on = f"hactl status; the controller goes on helping; or hactl node {found.action} {node}"
        with node_common.journaled(who, f"node-{found.action}", about, go_on=go_on) as result:
            before = _progress(context, node)
            order(context, who, node)
            means = _means(context, who, node, before)
            result["seconds"] = round(node_recover.follow(node, means, WITHIN, LONGEST), 1)
    node_common.show(
        context, found, done=True, said=f"{node} streams, {result['seconds']} s", more=dict(result)
    )


def _restart_patroni(_: Context, who: Operator, node: str) -> None:
    from hactl.act import maintenance
    from hactl.view.control import Order

    wanted = Order(node, secrets.token_hex(4), "restart", "patroni.service")
    maintenance.order(who, wanted, within=ORDER_WITHIN)


def _reinitialize(_: Context, who: Operator, node: str) -> None:
    """The leadership that was judged, not the next one. Raises StepFailed: nobody leads now."""
    from hactl.act import maintenance
    from hactl.view.control import Order
    from hactl.view.kv import revision_is

    leader = who.kv.range(who.keys.leader, within=maintenance.WITHIN).first
    if leader is None or leader.value == node:
        raise StepFailed(f"{node} may be the last good copy: nobody else leads now", hint="hactl status")
    wanted, same = Order(node, secrets.token_hex(4), "reinit"), revision_is(leader.key, leader.mod_revision)
    maintenance.order(who, wanted, within=ORDER_WITHIN, also=(same,))


def _means(context: Context, who: Operator, node: str, before: Progress) -> Means:
    from hactl.act.node_recover import Means

    return Means(
        clock=who.clock,
        look=functools.partial(_progress, context, node),
        before=before,
        copied=functools.partial(_copied, context),
        say=node_common.changing(),
    )


def _progress(context: Context, node: str) -> Progress:
    from hactl.act.node_recover import Progress
    from hactl.act.node_restart import follows
    from hactl.decide.node_actions import itself
    from hactl.view.control import Dcs

    view = by_hand.look(context, node)
    own = itself(view, node)
    facts = view.control.facts.get(node) if isinstance(view.control, Dcs) else None
    return Progress(
        state=own.state if own else "silent",
        started=own.started if own else "",
        streams=follows(view, node),
        joining=facts.joining if facts else "",
    )


def _copied(context: Context) -> str:
    """How far a copy is, as the primary sees it; empty: none runs, or nobody says."""
    import psycopg2

    from hactl.cli import switchover

    sql = "select phase, backup_streamed, backup_total from pg_stat_progress_basebackup limit 1"
    with contextlib.suppress(HactlError, psycopg2.Error):
        link = switchover.monitor(context)
        try:
            rows = link.run(sql, within=2.0)
        finally:
            link.close()
        if rows:
            phase, streamed, total = rows[0]
            share = f", {100 * streamed / total:.0f} %" if total else ""
            return f"{phase}{share}"
    return ""
