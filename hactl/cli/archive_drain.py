"""`hactl archive drain · undrain`: a node out of the archive VIP, and in again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.explained import explain, plain
from hactl.cli.node_common import journaled
from hactl.cli.output import emit
from hactl.cli.proposal import Proposal
from hactl.errors import Refused, StepFailed, UsageError
from hactl.view.archive_kind import Ability

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.view.cluster import ClusterView

WAYS = "hactl archive list; hactl archive undrain {node}, or hactl archive drain {node}"
SLACK = 15.0  # s beyond what open associations may take: keepalived and the facts' way back


@click.command("drain")
@click.argument("node")
@click.option(
    "--within",
    type=click.FloatRange(0, 3600),
    metavar="SECONDS",
    help="How long what is under way may take. Default: 30.",
)
@click.option("--force", is_flag=True, help="Also if no other node can take over.")
@by_hand.explaining
@click.pass_context
def drain(ctx: click.Context, node: str, within: float | None, force: bool, asked: by_hand.Asked) -> None:
    """Take NODE out of the archive VIP once what is under way there has ended.

    New connections wait meanwhile (their clients try again a second later) and then reach another node. It
    stays out, over reboots too, until `hactl archive undrain`.

    Examples:
      hactl archive drain arc1 --explain
      hactl archive drain arc1 --within 60 --reason 'new memory'
    """
    context = archive_context(ctx, node, Ability.DRAIN)
    view = by_hand.look(context, node)
    vetoes = refused_by(context, view, node, force=force)
    if asked.explain:
        explain(context, drain_proposal(context, view, node, force=force), again=False)
        return
    if asked.dry_run:
        _dry_run(context, view, node, vetoes)
        return
    if vetoes:
        raise Refused(f"{node} is not drained", vetoes, hint="hactl archive list; --force")
    by_hand.meant(f"Take {node} out of the archive VIP?", yes=asked.yes)
    began = time.monotonic()
    with by_hand.operating(context, f"archive drain {node}", asked.reason) as who:
        begin(context, who, node, reason=asked.reason, within=within, force=force)
    took = time.monotonic() - began
    _print(
        context,
        {"node": node, "state": "drained", "took": round(took, 1)},
        f"{node} is drained, {took:.1f} s",
    )


@click.command("undrain")
@click.argument("node")
@by_hand.explaining
@click.pass_context
def undrain(ctx: click.Context, node: str, asked: by_hand.Asked) -> None:
    """Let NODE hold the archive VIP again. It takes nothing from the node that has it, so nobody is asked.

    Examples:
      hactl archive undrain arc1 --explain
      hactl archive undrain arc1
    """
    context = archive_context(ctx, node, Ability.DRAIN)
    if asked.explain:
        plain(context, "undrain", (f"take the drain of {node} out of etcd; its agent lets it in again",))
        return
    if asked.dry_run:
        found = drained_by(by_hand.look(context), node)
        _print(context, {"node": node, "drained_by": found}, f"{node}: {found or 'not drained'}")
        return
    from hactl.act import maintenance

    about = {"node": node, "reason": asked.reason}
    with (
        by_hand.operating(context, f"archive undrain {node}", asked.reason) as who,
        journaled(who, "archive-undrain", about, go_on=WAYS.format(node=node), end="done"),
    ):
        was = maintenance.undrain(who, node)
    _print(
        context,
        {"node": node, "was_drained": was},
        f"{node} {'may hold the archive VIP again' if was else 'was not drained'}",
    )


def archive_context(ctx: click.Context, node: str, ability: Ability) -> Context:
    """Raises UsageError: the spec has no such archive; Refused: its kind lets nobody do this."""
    from hactl.wiring_archive import refuse_unless

    context = open_context(ctx)
    if node not in context.spec.archive_addresses:
        raise UsageError(f"{node} is no archive node", hint="hactl archive list")
    refuse_unless(context.spec, ability)
    return context


def refused_by(context: Context, view: ClusterView, node: str, *, force: bool) -> list[str]:
    """Sentences. Force helps against there being nobody to take over, against nothing else."""
    from hactl.decide.maintenance import may_drain

    vetoes = may_drain(context.spec, view, node).vetoes
    return by_hand.sentences(tuple(v for v in vetoes if not (force and v.code == "NO_OTHER_ARCHIVE")))


def drain_proposal(context: Context, view: ClusterView, node: str, *, force: bool) -> Proposal:
    """For --explain."""
    from hactl.decide.maintenance import may_drain

    vetoes = tuple(
        v for v in may_drain(context.spec, view, node).vetoes if not (force and v.code == "NO_OTHER_ARCHIVE")
    )
    steps = (
        f"put the drain of {node} into etcd, unless it or another one is drained by then",
        f"wait until what is under way there has ended, and {node} is out of the archive VIP",
    )
    idle = {"NO_OTHER_ARCHIVE": "--force"} if force else {}
    return Proposal("drain", node, "", f"{node} is not drained", steps, vetoes, idle=idle)


def drained_by(view: ClusterView, node: str) -> str:
    from hactl.view.control import Dcs

    found = view.control.drains.get(node) if isinstance(view.control, Dcs) else None
    return "" if found is None else f"drained by {found.by}{f': {found.why}' if found.why else ''}"


def begin(
    context: Context, who: Operator, node: str, *, reason: str, within: float | None, force: bool
) -> None:
    """Ask for it, and wait until the node is out.

    Raises:
        Refused: another node has just been drained.
        StepFailed: it is asked for, but the node is not out in time.

    """
    from hactl.act import maintenance
    from hactl.act.archive_turn import is_out
    from hactl.agent.archive import DRAIN_WITHIN
    from hactl.view.archive import Drain, DrainBy

    since = maintenance.now_text(who.clock.wall())
    wanted = Drain(node, DrainBy.OPERATOR, reason, since, force, within)
    others = [other for other in context.spec.archives if other != node]
    about = {"node": node, "reason": reason, "force": force, "within": within}
    with journaled(who, "archive-drain", about, go_on=WAYS.format(node=node), end="done"):
        maintenance.drain(who, wanted, others)
        if not maintenance.wait_until(
            who, lambda: is_out(context.spec, who, node), (DRAIN_WITHIN if within is None else within) + SLACK
        ):
            raise StepFailed(
                f"{node} still has the archive VIP, or its agent does not report",
                last_done="the drain stands in etcd; the agent obeys as soon as it can",
                hint="hactl archive list",
            )


def _dry_run(context: Context, view: ClusterView, node: str, vetoes: list[str]) -> None:
    text = (
        f"{node} would be drained"
        if not vetoes
        else "\n".join([f"{node} would not be drained:", *(f"  - {v}" for v in vetoes)])
    )
    holder = view.vips["archive"].holder if "archive" in view.vips else None
    _print(context, {"node": node, "holds_vip": holder == node, "would": not vetoes, "vetoes": vetoes}, text)


def _print(context: Context, data: dict[str, Any], text: str) -> None:
    if context.output == "table":
        click.echo(text)
    else:
        emit({"version": 1, "cluster": context.spec.cluster, **data}, context.output)
