"""Fences a database node by hand and proves it, as the controller does: a sent order alone is no proof."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hactl.act import maintenance, node_keys
from hactl.act.maintenance import Operator
from hactl.errors import HactlError, StepFailed
from hactl.view.control import FenceIntent

OWN_WORD: Final = 20.0  # s: the agent tries again each 5 s; it has to kill what waits for a slow disk
OFF_WITHIN, STATUS_WITHIN = 8.0, 4.0
POWER_WITHIN: Final = 30.0
TAKEN: Final = 40.0  # Patroni's TTL is 20 s, should the leader key not be ours to release
POLL: Final = 0.2


class Device(Protocol):
    def power(self, *, within: float) -> str: ...

    def switch_off(self, *, within: float, may: Callable[[], bool] = ...) -> str: ...

    def switch_on(self, *, within: float) -> str: ...


@dataclass(frozen=True)
class Means:
    """`device`: None: the spec names none, or nothing leads there from here. `leads`: who is primary."""

    operator: Operator
    device: Device | None
    leads: Callable[[], str | None]
    well: Callable[[], bool]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Fenced:
    """`proof`: a sentence. `cut`: its power was. `took_over`: seconds until another one led; None: nobody."""

    proof: str
    cut: bool
    took_over: float | None = None


def fence(intent: FenceIntent, others: Sequence[str], means: Means, *, power: bool, heir: str) -> Fenced:
    """`heir`: who takes over from what is fenced; empty: nobody has to, or can.

    Raises:
        Refused: something has just changed; nothing was done.
        StepFailed: the fence stands, and nothing proves the node silent yet, or nobody took over.

    """
    began = means.operator.clock.monotonic()
    node_keys.fence(means.operator, intent, others)
    means.say(f"the fence stands, epoch {intent.epoch}: {intent.node} renews no lease from now on")
    proof, cut = _prove(intent, means, power=power)
    means.say(f"{intent.node} is silent: {proof}")
    if means.leads() != intent.node and intent.leader.node != intent.node:
        return Fenced(proof, cut)
    if node_keys.release(means.operator, intent):
        means.say("the leader key is released")
    if not heir:
        return Fenced(proof, cut)
    if not maintenance.wait_until(means.operator, lambda: means.leads() == heir, TAKEN):
        raise StepFailed(
            f"{heir} has not taken over within {TAKEN:g} s",
            last_done=f"{intent.node} is fenced: {proof}",
            hint="hactl status; hactl doctor",
        )
    return Fenced(proof, cut, means.operator.clock.monotonic() - began)


def _prove(intent: FenceIntent, means: Means, *, power: bool) -> tuple[str, bool]:
    device = means.device
    if power and device is not None:
        return cut_power(intent, means, device), True
    if maintenance.wait_until(means.operator, lambda: bool(own_word(intent, means.operator)), OWN_WORD):
        return own_word(intent, means.operator), False
    if device is None:
        raise StepFailed(
            f"nothing proves that {intent.node} is silent: its agent does not answer, and no fence agent is "
            "in reach",
            last_done=f"the fence of {intent.node} stands; its agent obeys as soon as it can",
            hint=f"hactl status; hactl node unfence {intent.node}",
        )
    means.say(f"the agent of {intent.node} does not answer: its power is cut")
    return cut_power(intent, means, device), True


def own_word(intent: FenceIntent, operator: Operator) -> str:
    """What the node's agent says under this epoch; empty: nothing."""
    found = operator.kv.range(operator.keys.fenced(intent.node), within=maintenance.WITHIN).first
    try:
        said = json.loads(found.value) if found else {}
    except ValueError:
        return ""
    if not isinstance(said, dict) or said.get("epoch") != intent.epoch:
        return ""
    return f"its agent says that its PostgreSQL is {said.get('postgres')}"


def cut_power(intent: FenceIntent, means: Means, device: Device) -> str:
    """Only what the status says afterwards counts."""
    try:
        device.switch_off(within=OFF_WITHIN)
    except HactlError as error:
        means.say(f"off: {error.message}")  # it may have worked for all that
    if not _power_is("off", means, device):
        raise StepFailed(
            f"the fence agent of {intent.node} does not say that it is off",
            last_done=f"the fence of {intent.node} stands in etcd, and it was told to switch off",
            hint=f"look at {intent.node} itself; hactl node unfence {intent.node}",
        )
    return "its fence agent's status says: off"


def _power_is(wanted: str, means: Means, device: Device) -> bool:
    until = means.operator.clock.monotonic() + POWER_WITHIN
    last = ""
    while means.operator.clock.monotonic() < until:
        try:
            if device.power(within=STATUS_WITHIN) == wanted:
                return True
        except HactlError as error:
            if error.message != last:
                means.say(f"power: {error.message}")
            last = error.message
        time.sleep(POLL)
    return False


def unfence(node: str, epoch: int, means: Means, *, within: float) -> bool:
    """Switch it on if it is off, take the fence away, and wait. Whether it is well again in time.

    It boots closed while the fence stands, so the power comes first.

    Raises:
        Refused: the fence is another one's by now.
        StepFailed: it cannot be switched on; the fence stands.

    """
    if means.device is not None:
        _on(node, means, means.device)
    node_keys.unfence(means.operator, node, epoch)
    means.say(f"the fence of {node} is gone: its agent starts Patroni")
    return maintenance.wait_until(means.operator, means.well, within)


def _on(node: str, means: Means, device: Device) -> None:
    try:
        if device.power(within=STATUS_WITHIN) == "on":
            return
        means.say(f"{node} is off: it is switched on")
        device.switch_on(within=OFF_WITHIN)
    except HactlError as error:
        means.say(f"power: {error.message}")
    if not _power_is("on", means, device):
        raise StepFailed(
            f"{node} cannot be switched on", last_done=f"the fence of {node} stands", hint="look at its BMC"
        )
