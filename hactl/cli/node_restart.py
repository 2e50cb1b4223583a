"""`hactl node restart`: one node, or all of them, never two at once."""

from __future__ import annotations

import functools
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from hactl.cli import archive_drain, archive_restart, etcd, node_common, switchover
from hactl.cli import operator as by_hand
from hactl.cli.context import Context, open_context
from hactl.cli.proposal import Proposal
from hactl.errors import UsageError
from hactl.view.archive_kind import Ability

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.act.node_restart import Means
    from hactl.decide.restart import Restart, RestartPostgres, Step, SwitchOver, Wish

IN_PLACE_TAKEN = 30.0  # s from Patroni's answer to the next commit
ALL = "all"
STEP = "node-restart-step"  # in the journal
UNIT_WITHIN = 45.0  # s
INSTEAD = {
    "patroni.service": "hactl node restart {node}; if it does not run: hactl node start {node}",
    "etcd.service": "hactl node restart {node} --etcd",
    "orthanc.service": "hactl archive restart {node}",
    "nginx.service": "hactl archive restart {node}",
}


@click.command("restart")
@click.argument("node", required=False)
@click.option("--all", "every", is_flag=True, help="Every node, one after the other.")
@click.option("--pending", is_flag=True, help="Only PostgreSQL that waits for it, as Patroni says.")
@click.option(
    "--in-place", is_flag=True, help="The primary without a switchover: nobody can write meanwhile."
)
@click.option("--etcd", "only_etcd", is_flag=True, help="The node's etcd instead.")
@click.option(
    "--unit", metavar="UNIT", help="This unit instead: keepalived, hactl-agent, hactl-controller, …"
)
@by_hand.explaining
@click.pass_context
def command(
    ctx: click.Context, /, node: str | None, every: bool, unit: str | None, asked: by_hand.Asked, **how: bool
) -> None:
    """Start what NODE is for anew, so that clients notice as little as can be.

    \b
    database node   PostgreSQL, through Patroni; of the primary after a switchover (or --in-place)
    archive node    drained, its archive restarted, let in again
    witness         Prometheus, Alertmanager, etcd

    --all does the standby first, then the switchover, then archive nodes, witnesses and etcd's members, one
    at a time. It looks anew before each step and stops at the first surprise.

    \b
    Examples:
      hactl node restart db2 --pending
      hactl node restart arc1 --unit keepalived
      hactl node restart --all --explain
    """  # noqa: D301
    from hactl.decide.restart import Wish

    wish = Wish(pending=how["pending"], in_place=how["in_place"], etcd=how["only_etcd"])
    if bool(node) == every or (every and (wish.in_place or wish.etcd or unit)):
        raise UsageError("name one node, or --all; not with --all: --in-place, --etcd, --unit")
    context = node_common.node_context(ctx, node) if node else open_context(ctx)
    if node and unit:
        wish = Wish(unit=_chosen(context, node, unit, wish))
    plan = _plan(context, node, wish)
    found = replace(_proposal(node, plan), asks=_asks(plan.steps, wish, every=every))
    if not node_common.go_ahead(context, found, asked):
        return
    _means_are_here(context, plan.steps)
    with by_hand.operating(context, f"node restart {node or '--all'}", asked.reason) as who:
        node_common.still(found, _proposal(node, _plan(context, node, wish)))
        data = {"node": node or ALL, "steps": list(found.steps), "reason": asked.reason}
        go_on = f"hactl status; hactl node restart {node or '--all'}; journal: hactl journal tail"
        with node_common.journaled(who, "node-restart", data, go_on=go_on):
            _run(context, who, plan.steps, asked.reason)
    said = f"{node} was restarted" if node else f"all {len(plan.steps)} steps are done"
    node_common.show(context, found, done=True, said=said)


def _chosen(context: Context, node: str, unit: str, wish: Wish) -> str:
    """Raises UsageError."""
    from hactl.render.hactl import units

    if wish.pending or wish.in_place or wish.etcd:
        raise UsageError("--unit goes with no other choice")
    name = unit if "." in unit else f"{unit}.service"
    if name in INSTEAD:
        raise UsageError(f"{name} has a command of its own", hint=INSTEAD[name].format(node=node))
    known = [u for u in units(context.spec, node) if u not in INSTEAD]
    if name not in known:
        said = ", ".join(k.removesuffix(".service") for k in known)
        raise UsageError(f"{node} has no unit {unit} of hactl's", hint=f"one of: {said}")
    return name


def _plan(context: Context, node: str | None, wish: Wish) -> Restart:
    from hactl.decide import restart

    view = by_hand.look(context, *([node] if node else []))
    if node:
        return restart.of_node(context.spec, view, node, wish)
    return restart.of_all(context.spec, view, wish)


def _proposal(node: str | None, plan: Restart) -> Proposal:
    what = node or "every node, one after the other"
    refused = f"{node} is not restarted" if node else "nothing is restarted"
    steps = node_common.texts(plan.steps)
    hint = "hactl status; hactl doctor"
    return Proposal("restart", node or ALL, f"Restart {what}?", refused, steps, plan.vetoes, plan.notes, hint)


def _asks(steps: tuple[Step, ...], wish: Wish, *, every: bool) -> tuple[str, ...]:
    """The lists of questions: those of each kind of step, and of the options."""
    options = {"restart-all": every, "restart-etcd": wish.etcd, "restart-pending": wish.pending}
    kinds = dict.fromkeys(type(step).__name__ for step in steps)
    return (*kinds, *(name for name, given in options.items() if given))


def _means_are_here(context: Context, steps: tuple[Step, ...]) -> None:
    """Raises Refused: something that a step needs is not to be had here."""
    from hactl.decide.restart import RestartArchive, RestartPostgres, SwitchOver
    from hactl.wiring_archive import refuse_unless

    if any(isinstance(step, RestartPostgres | SwitchOver) for step in steps):
        switchover.password(context)
    if any(isinstance(step, RestartArchive) for step in steps):
        refuse_unless(context.spec, Ability.RESTART)


def _run(context: Context, who: Operator, steps: tuple[Step, ...], reason: str) -> None:
    from hactl.act import node_restart

    node_restart.run(context.spec, steps, _means(context, who, reason))


def _means(context: Context, who: Operator, reason: str) -> Means:
    from hactl.act import maintenance
    from hactl.act.node_restart import INTERRUPTED, Means

    def begun(step: Step) -> None:
        maintenance.note(who, STEP, {"node": step.node, "step": str(step), "reason": reason})

    def ended(step: Step, problem: str) -> None:
        """Of what was interrupted only if it was begun, and has not ended."""
        if problem == INTERRUPTED and not maintenance.unended(who, STEP, f"{STEP}-ended"):
            return
        about = {"node": step.node, "step": str(step), "ok": not problem}
        maintenance.note(who, f"{STEP}-ended", {**about, **({"said": problem} if problem else {})})

    return Means(
        look=lambda: by_hand.look(context),
        postgres=functools.partial(_postgres, context),
        switch=functools.partial(_switch, context, who, reason),
        archive=functools.partial(_archive, context, who, reason),
        etcd=functools.partial(_etcd, context, who),
        unit=functools.partial(_one_unit, context, who),
        begun=begun,
        ended=ended,
        clock=who.clock,
        say=node_common.progress,
    )


def _postgres(context: Context, step: RestartPostgres) -> None:
    """Raises StepFailed, Unreachable."""
    from hactl.act import switchover as commits
    from hactl.decide.switchover import Switch

    control = switchover.patroni(context, step.node)
    if not step.primary:
        control.restart(step.node, primary=False, pending=step.pending)
        return
    means = switchover.means_of(context, Switch(step.node, step.node))
    outage = commits.in_place(
        means, lambda: control.restart(step.node, primary=True, pending=step.pending), IN_PLACE_TAKEN
    )
    node_common.progress(f"longest time without a commit: {outage.outage:.2f} s")


def _switch(context: Context, who: Operator, reason: str, step: SwitchOver) -> None:
    from hactl.decide.switchover import Switch

    switchover.run(context, who, Switch(step.node, step.to), reason or "node restart")


def _archive(context: Context, who: Operator, reason: str, node: str) -> None:
    drained = bool(archive_drain.drained_by(by_hand.look(context, node), node))
    archive_restart.restart(context, who, node, reason or "restart", drained=drained, force=False)


def _etcd(context: Context, who: Operator, node: str) -> None:
    """Whoever led hands leadership over first, so that nobody waits for an election."""
    from hactl.act import etcd_care
    from hactl.view.model import EtcdStatus

    with etcd.caring(context) as care:
        alive = [
            n
            for n, s in etcd_care.look(care, tuple(context.spec.voters)).items()
            if isinstance(s, EtcdStatus)
        ]
        if to := etcd_care.leave(care, node, alive, etcd.may_lead(context, care)):
            node_common.progress(f"etcd is led by {to}")
        _unit(who, node, "etcd.service")
        etcd_care.wait_well(care, alive, f"restart etcd on {node}")


def _one_unit(context: Context, who: Operator, node: str, unit: str) -> None:
    """Raises StepFailed, Unreachable."""
    from hactl.decide.restart import OWN
    from hactl.wiring import dispatchers

    if not unit.startswith(OWN):
        _unit(who, node, unit)
        return
    dispatchers(context.spec, context.site)[node].ask(f"restart {unit}", within=UNIT_WITHIN)


def _unit(who: Operator, node: str, unit: str) -> None:
    from hactl.act import maintenance
    from hactl.act.node_stop import ACT_WITHIN
    from hactl.view.control import Order

    maintenance.order(who, Order(node, secrets.token_hex(4), "restart", unit), within=ACT_WITHIN)
