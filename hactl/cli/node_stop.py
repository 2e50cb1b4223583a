"""`hactl node stop · start · maintenance`: work on a node, and hactl's hands off meanwhile."""

from __future__ import annotations

import functools
import secrets
from typing import TYPE_CHECKING, Any

import click

from hactl.cli import archive_restart, etcd, node_common
from hactl.cli import operator as by_hand
from hactl.cli.context import Context
from hactl.cli.proposal import Proposal
from hactl.view.control import Dcs

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.act.node_stop import Means
    from hactl.view.cluster import ClusterView

DEFAULT = "2h"
LONGEST = 30 * 86400.0  # s
SHORTEST = 60.0


def _seconds(_: click.Context, __: click.Parameter, value: str) -> int:
    from hactl.units import Seconds

    try:
        found = Seconds.parse(value).value
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not SHORTEST <= found <= LONGEST:
        raise click.BadParameter("at least 1min, at most 30d")
    return int(found)


def lasting(function: Any) -> Any:
    """For how long hactl leaves the node alone."""
    return click.option(
        "--for", "seconds", default=DEFAULT, callback=_seconds, metavar="TIME",
        help=f"For so long hactl leaves the node alone, at most; 30min, 4h, 1d. Default: {DEFAULT}.",
    )(function)  # fmt: skip


@click.command("stop")
@click.argument("node")
@lasting
@by_hand.explaining
@click.pass_context
def stop(ctx: click.Context, node: str, seconds: int, asked: by_hand.Asked) -> None:
    """Take NODE's services down in an orderly manner; hactl leaves it alone until `hactl node start NODE`.

    \b
    standby         Patroni, and PostgreSQL with it
    archive node    drained first, then nginx and Orthanc
    witness         Alertmanager, Prometheus, etcd

    Refused, with all reasons, if anybody would notice; the primary always: `hactl switchover` first. When the
    time of --for is over, the controller starts again what is down. A reboot starts the services, too.

    \b
    Examples:
      hactl node stop db1 --dry-run
      hactl node stop db1 --explain
    """  # noqa: D301
    context = node_common.node_context(ctx, node)
    found = _stopping(context, node, seconds)
    if not node_common.go_ahead(context, found, asked):
        return
    from hactl.act import node_stop as acts
    from hactl.decide import node_stop

    with by_hand.operating(context, f"node stop {node}", asked.reason) as who:
        node_common.still(found, _stopping(context, node, seconds))
        about = {"node": node, "seconds": seconds, "reason": asked.reason, "steps": list(found.steps)}
        go_on = f"hactl node show {node}; hactl node start {node}, or hactl node stop {node}"
        with node_common.journaled(who, "node-stop", about, go_on=go_on):
            means = _means(context, who, node)
            until = _leave_alone(context, means, acts.Work(node, asked.reason, seconds, stopped=True))
            acts.stop(node, node_stop.units(context.spec, node), means)
    said = f"{node} is stopped; hactl leaves it alone until {until} UTC, or `hactl node start {node}`"
    node_common.show(context, found, done=True, said=said, more={"until": until})


def _stopping(context: Context, node: str, seconds: int) -> Proposal:
    from hactl.decide import node_stop

    answer = node_stop.may_stop(context.spec, by_hand.look(context, node), node)
    units = node_stop.units(context.spec, node)
    steps = (*_left_alone(context, node, seconds), *(f"stop {unit} on {node}" for unit in units))
    hint = f"hactl node ok-to-stop {node}; hactl status"
    return Proposal(
        "stop", node, f"Stop {node}?", f"{node} is not stopped", steps, answer.vetoes, answer.notes, hint
    )


def _left_alone(context: Context, node: str, seconds: int) -> tuple[str, ...]:
    drain = (f"drain {node}",) if node in context.spec.archives else ()
    return (f"have hactl leave {node} alone for {seconds} s", *drain)


def _leave_alone(context: Context, means: Means, work: Any) -> str:
    from hactl.act import node_stop as acts

    others = [name for name in context.spec.nodes if name != work.node]
    return acts.leave_alone(work, means, others, archive=work.node in context.spec.archives)


@click.command("start")
@click.argument("node")
@by_hand.explaining
@click.pass_context
def start(ctx: click.Context, node: str, asked: by_hand.Asked) -> None:
    """Start NODE's services, wait until it is well, and end what `hactl node stop` began.

    What runs already is left as it is, so it may be called twice.

    Examples:
      hactl node start db1 --explain
      hactl node start db1
    """
    context = node_common.node_context(ctx, node)
    found = _starting(context, node)
    if not node_common.go_ahead(context, found, asked):
        return
    from hactl.act import node_keys
    from hactl.act import node_stop as acts
    from hactl.decide import node_stop

    with by_hand.operating(context, f"node start {node}", asked.reason) as who:
        node_common.still(found, _starting(context, node))
        about = {"node": node, "reason": asked.reason, "steps": list(found.steps)}
        with node_common.journaled(who, "node-start", about, go_on=f"hactl node start {node}"):
            acts.start(node, node_stop.units(context.spec, node), _means(context, who, node))
            if _ends(context, node):
                node_keys.end(who, node)
    node_common.show(context, found, done=True, said=f"{node} is well, and hactl looks after it")


def _starting(context: Context, node: str) -> Proposal:
    from hactl.decide import node_stop

    answer = node_stop.may_start(context.spec, by_hand.look(context, node), node)
    units = node_stop.units(context.spec, node)
    ends = (f"have hactl look after {node} again",) if _ends(context, node) else ()
    steps = (*(f"start {unit} on {node}" for unit in reversed(units)), f"wait until {node} is well", *ends)
    return Proposal(
        "start", node, f"Start {node}?", f"{node} is not started", steps, answer.vetoes, answer.notes
    )


def _ends(context: Context, node: str) -> bool:
    """Only what `stop` began; somebody may work on it for another reason."""
    control = by_hand.look(context, node).control
    work = control.maintenance.get(node) if isinstance(control, Dcs) else None
    return work is not None and work.stopped


@click.command("maintenance")
@click.argument("node")
@click.argument("switch", type=click.Choice(["on", "off"]))
@lasting
@by_hand.explaining
@click.pass_context
def maintenance(ctx: click.Context, node: str, switch: str, seconds: int, asked: by_hand.Asked) -> None:
    """Have hactl leave NODE alone while somebody works on it: no repair, no alarm; it ends by itself.

    Nothing is stopped. An archive node is drained; a voter goes on voting. `hactl status` says
    NODE_MAINTENANCE. Refused for the primary, and while somebody works on another node.

    Examples:
      hactl node maintenance db1 on --for 2h --reason 'new disk'
      hactl node maintenance db1 on --explain
      hactl node maintenance db1 off
    """
    context = node_common.node_context(ctx, node)
    propose = functools.partial(_maintaining, context, node, seconds, on=switch == "on")
    found = propose()
    if not node_common.go_ahead(context, found, asked):
        return
    from hactl.act import node_keys
    from hactl.act import node_stop as acts

    until = ""
    with by_hand.operating(context, f"node maintenance {node} {switch}", asked.reason) as who:
        node_common.still(found, propose())
        about = {"node": node, "seconds": seconds if switch == "on" else 0, "reason": asked.reason}
        go_on = f"hactl status; hactl node maintenance {node} {switch}, or hactl node maintenance {node} off"
        with node_common.journaled(who, f"node-maintenance-{switch}", about, go_on=go_on):
            if switch == "off":
                node_keys.end(who, node)
            else:
                work = acts.Work(node, asked.reason, seconds)
                until = _leave_alone(context, _means(context, who, node), work)
    said = f"hactl leaves {node} alone until {until} UTC" if until else f"hactl looks after {node} again"
    node_common.show(context, found, done=True, said=said, more={"until": until or None})


def _maintaining(context: Context, node: str, seconds: int, *, on: bool) -> Proposal:
    from hactl.decide import node_stop

    view = by_hand.look(context, node)
    if not on:
        answer = node_stop.may_end(view, node)
        again = (f"have hactl look after {node} again",)
        refused = f"{node} is left as it is"
        return Proposal("maintenance-off", node, f"End the maintenance of {node}?", refused, again,
                        answer.vetoes, answer.notes)  # fmt: skip
    answer = node_stop.may_maintain(context.spec, view, node)
    steps = _left_alone(context, node, seconds)
    refused = f"{node} is not put into maintenance"
    return Proposal("maintenance-on", node, f"Put {node} into maintenance?", refused, steps,
                    answer.vetoes, answer.notes)  # fmt: skip


def _means(context: Context, who: Operator, node: str) -> Means:
    from hactl.act.archive_turn import is_out
    from hactl.act.node_stop import Means

    return Means(
        operator=who,
        drained=lambda: is_out(context.spec, who, node),
        well=functools.partial(well, context, node),
        give_lead=functools.partial(_give_lead, context, node),
        new_id=lambda: secrets.token_hex(4),
        say=node_common.progress,
    )


def _give_lead(context: Context, node: str) -> None:
    from hactl.act import etcd_care

    with etcd.caring(context) as care:
        etcd_care.leave(care, node, tuple(context.spec.voters), etcd.may_lead(context, care))


def well(context: Context, node: str) -> bool:
    """All that `start` started does its work."""
    from hactl.act.node_restart import follows
    from hactl.view import derive

    view: ClusterView = by_hand.look(context, node)
    if not _units_run(context, view, node):
        return False
    if node in context.spec.archives:
        return archive_restart.reaches_its_index(context, node)
    if node in context.spec.databases:
        return derive.primary(view) == node or follows(view, node)
    return node in derive.etcd_answers(view)


def _units_run(context: Context, view: ClusterView, node: str) -> bool:
    """By its agent's word, which may be two seconds old."""
    from hactl.decide.node_stop import DOWN, units

    facts = view.control.facts.get(node) if isinstance(view.control, Dcs) else None
    return facts is not None and not any(facts.units.get(u) in DOWN for u in units(context.spec, node))
