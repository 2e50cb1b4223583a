"""Takes a node's services down for work on it, and up again. hactl leaves the node alone in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hactl.act import maintenance, node_keys
from hactl.act.maintenance import Operator
from hactl.errors import HactlError, StepFailed
from hactl.view.archive import Drain, DrainBy
from hactl.view.control import Maintenance, Order

ACT_WITHIN: Final = 65.0  # s: the agent gives root's act 60
DRAIN_WITHIN: Final = 45.0  # 30 for what is under way, and keepalived's way
UP_WITHIN: Final = 180.0
ETCD: Final = "etcd.service"


@dataclass(frozen=True)
class Work:
    """What is asked for. `seconds`: after so long hactl looks after the node again."""

    node: str
    reason: str
    seconds: int
    stopped: bool = False


@dataclass(frozen=True)
class Means:
    """`drained`: an archive node is out of the VIP. `well`: all of the node works again.

    `give_lead`: etcd's leadership, should it be there. `new_id`: for an order.
    """

    operator: Operator
    drained: Callable[[], bool]
    well: Callable[[], bool]
    give_lead: Callable[[], None]
    new_id: Callable[[], str]
    say: Callable[[str], None]


def leave_alone(work: Work, means: Means, others: Sequence[str], *, archive: bool) -> str:
    """Until when. An archive node is out of the VIP afterwards.

    Raises:
        Refused: somebody works on another node.
        StepFailed: the node does not leave the VIP in time; it stays in maintenance.

    """
    operator, node = means.operator, work.node
    now = operator.clock.wall()
    since, until = maintenance.now_text(now), maintenance.now_text(now + work.seconds)
    wanted = Maintenance(node, operator.who, work.reason, since[:19], until[:19], work.stopped)
    why = f"maintenance{f': {work.reason}' if work.reason else ''}"
    drain = Drain(node, DrainBy.OPERATOR, why, since) if archive else None
    node_keys.begin(operator, wanted, work.seconds, others, drain)
    means.say(f"hactl leaves {node} alone until {wanted.until} UTC")
    if archive:
        means.say(f"{node} leaves the archive VIP when what is under way has ended")
        if not maintenance.wait_until(operator, means.drained, DRAIN_WITHIN):
            raise StepFailed(
                f"{node} still has the archive VIP, or its agent does not report",
                last_done=f"{node} is in maintenance, and is to be drained",
                hint=f"hactl archive list; hactl node maintenance {node} off",
            )
    return wanted.until


def stop(node: str, units: Sequence[str], means: Means) -> None:
    """Raises StepFailed: names what was stopped before."""
    last = f"{node} is in maintenance"
    for unit in units:
        if unit == ETCD:
            means.give_lead()
        means.say(f"stop {unit} on {node}")
        _ordered("stop", node, unit, means, last, f"hactl node start {node}")
        last = f"{unit} on {node} is stopped"


def start(node: str, units: Sequence[str], means: Means) -> None:
    """Start all of it, wait until it is well, and end what `stop` began.

    Raises:
        StepFailed: it did not start, or is not well in time; it stays in maintenance.

    """
    last = ""
    for unit in reversed(units):
        means.say(f"start {unit} on {node}")
        _ordered("start", node, unit, means, last, "hactl status")
        last = f"{unit} on {node} was started"
    if not maintenance.wait_until(means.operator, means.well, UP_WITHIN):
        raise StepFailed(
            f"{node} is not well after {UP_WITHIN:g} s", last_done=last, hint="hactl status; hactl doctor"
        )


def _ordered(verb: str, node: str, unit: str, means: Means, last: str, hint: str) -> None:
    order = Order(node, means.new_id(), verb, unit)
    try:
        maintenance.order(means.operator, order, within=ACT_WITHIN)
    except HactlError as error:
        raise StepFailed(error.message, last_done=last, hint=hint) from error
