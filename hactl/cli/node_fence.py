"""`hactl node fence · unfence`: a database node that must not serve, proved; and let in again."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from hactl.cli import node_common, node_stop
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.proposal import Proposal
from hactl.errors import Refused, StepFailed
from hactl.view.control import Dcs

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.act.node_fence import Means
    from hactl.adapters.fence_agent import FenceAgent
    from hactl.decide.node_fence import Fencing, Meant

BACK_WITHIN = 240.0  # s: a machine that has to boot first


@click.command("fence")
@click.argument("node")
@click.option("--power", is_flag=True, help="Cut its power by its fence agent, whatever its agent says.")
@click.option("--force", is_flag=True, help="Also the primary. Read first what that means: --dry-run.")
@click.option(
    "--alone", is_flag=True, help="With --force: also if nobody takes over, and the database is down."
)
@by_hand.explaining
@click.pass_context
def fence(ctx: click.Context, node: str, power: bool, force: bool, alone: bool, asked: by_hand.Asked) -> None:
    """Keep the database node NODE from serving, over reboots too, until `hactl node unfence NODE`.

    A key in etcd: its agent kills PostgreSQL there and says so. If it says nothing within 20 s, or with
    --power, the fence agent of the spec cuts its power. Ends only when that is proved, by the agent's own
    word or by the power's status. Never both database nodes.

    Examples:
      hactl node fence db1 --dry-run
      hactl node fence db1 --power --explain
    """
    from hactl.decide.node_fence import Meant

    context = node_common.database_context(ctx, node)
    judge = functools.partial(_judged, context, node, Meant(force, alone, power))
    fencing = judge()
    found = replace(_proposal(fencing, power=power), idle=_idle(Meant(force, alone, power)))
    if asked.explain and fencing.primary and context.spec.access.two_person:
        waits = "a second person is waited for before any of it: hactl approve"
        found = replace(found, notes=(*found.notes, waits))
    if not node_common.go_ahead(context, found, asked):
        return
    from hactl.act import node_fence as acts
    from hactl.decide.node_fence import intent

    approved = ""
    if fencing.primary:  # which is a failover by hand
        approved = by_hand.second_person(context, found.question, found.notes, asked.reason)
    with by_hand.operating(context, f"node fence {node}", asked.reason) as who:
        now = judge()
        node_common.still(found, _proposal(now, power=power))
        dcs = by_hand.look(context).control
        if not isinstance(dcs, Dcs) or dcs.patroni.leader is None:
            raise Refused(f"{node} is not fenced: nobody leads now", hint="hactl status")
        wanted = intent(dcs, node, who.actor, asked.reason)
        others = [name for name in context.spec.databases if name != node]
        about = {"node": node, "epoch": wanted.epoch, "force": force, "power": power,
                 "primary": now.primary, "reason": asked.reason, "approved_by": approved}  # fmt: skip
        go_on = f"hactl status; hactl node fence {node}, or hactl node unfence {node}"
        with node_common.journaled(who, "node-fence", about, go_on=go_on) as result:
            means = _means(context, who, node)
            done = acts.fence(wanted, others, means, power=power, heir=now.takes_over)
            result.update({"proof": done.proof, "power_cut": done.cut, "took_over": _rounded(done.took_over)})
    heir = f"; {now.takes_over} took over after {done.took_over:.1f} s" if done.took_over else ""
    said = f"{node} is fenced: {done.proof}{heir}"
    node_common.show(context, found, done=True, said=said, more=result)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _judged(context: Context, node: str, meant: Meant) -> Fencing:
    from hactl.decide.node_fence import may_fence

    return may_fence(context.spec, by_hand.look(context), node, meant)


def _idle(meant: Meant) -> dict[str, str]:
    """Which questions these options make idle."""
    found = {"IS_PRIMARY": "--force"} if meant.force else {}
    found |= {"NOBODY_TAKES_OVER": "--alone"} if meant.alone else {}
    return found if meant.power else {**found, "NO_FENCE_AGENT": "without --power"}


def _proposal(fencing: Fencing, *, power: bool) -> Proposal:
    node, heir = fencing.node, fencing.takes_over
    proof = (
        f"cut its power, and read that {node} is off"
        if power
        else f"wait for its agent's word that {node} is silent"
    )
    otherwise = ("or cut its power, and read that it is off",) if fencing.power and not power else ()
    steps = [f"put the fence of {node} into etcd", "; ".join((proof, *otherwise))]
    if fencing.primary:
        steps.append("release the leader key")
        steps += [f"wait until {heir} leads"] if heir else []
    what = f"{node}, the primary" if fencing.primary else node
    return Proposal(
        "fence", node, f"Fence {what}?", f"{node} is not fenced", tuple(steps), fencing.vetoes, fencing.notes,
        "hactl status; hactl switchover", {"primary": fencing.primary, "takes_over": heir or None},
    )  # fmt: skip


@click.command("unfence")
@click.argument("node")
@by_hand.explaining
@click.pass_context
def unfence(ctx: click.Context, node: str, asked: by_hand.Asked) -> None:
    """Let NODE in again that `hactl node fence` kept out: switched on if it is off, then the fence goes.

    Its agent starts Patroni, which joins it as a standby. What the controller has fenced it lets in itself.

    Examples:
      hactl node unfence db1 --explain
      hactl node unfence db1
    """
    context = node_common.database_context(ctx, node)
    found = _unfencing(context, node)
    if not node_common.go_ahead(context, found, asked):
        return
    from hactl.act import node_fence as acts

    with by_hand.operating(context, f"node unfence {node}", asked.reason) as who:
        node_common.still(found, _unfencing(context, node))
        about = {"node": node, "epoch": found.more["epoch"], "reason": asked.reason}
        go_on = f"hactl status; hactl node unfence {node}"
        with node_common.journaled(who, "node-unfence", about, go_on=go_on):
            means = _means(context, who, node)
            if not acts.unfence(node, int(found.more["epoch"]), means, within=BACK_WITHIN):
                raise StepFailed(
                    f"{node} does not stream after {BACK_WITHIN:g} s",
                    last_done=f"the fence of {node} is gone",
                    hint=f"hactl status; hactl node rejoin {node}",
                )  # fmt: skip
    node_common.show(context, found, done=True, said=f"{node} takes part again")


def _unfencing(context: Context, node: str) -> Proposal:
    from hactl.decide.node_fence import may_unfence

    view = by_hand.look(context)
    answer = may_unfence(view, node)
    fence = view.control.fences.get(node) if isinstance(view.control, Dcs) else None
    on = (f"switch {node} on if it is off",) if node in context.spec.fencing.agents else ()
    steps = (*on, f"take the fence of {node} out of etcd", f"wait until {node} takes part again")
    return Proposal(
        "unfence", node, f"Let {node} in again?", f"{node} is not let in", steps, answer.vetoes,
        answer.notes, "hactl status", {"epoch": fence.epoch if fence else 0},
    )  # fmt: skip


def _means(context: Context, who: Operator, node: str) -> Means:
    from hactl.act.node_fence import Means
    from hactl.view import derive

    return Means(
        operator=who,
        device=device_of(context, node),
        leads=lambda: derive.primary(by_hand.look(context)),
        well=functools.partial(node_stop.well, context, node),
        say=node_common.changing(),
    )


def device_of(context: Context, node: str) -> FenceAgent | None:
    """The node's fence agent. Where the spec names the node's own password file, the state folder has it."""
    from hactl import layout
    from hactl.adapters.fence_agent import FenceAgent
    from hactl.pki.store import Store

    agent = context.spec.fencing.agents.get(node)
    if agent is None:
        return None
    options = dict(agent.options)
    if not context.site.on_node and str(options.get("password_file")) == str(layout.BMC):
        del options["password_file"]
        options["password"] = Store(context.site.state).secrets().bmc.value
    return FenceAgent(agent.agent, options)
