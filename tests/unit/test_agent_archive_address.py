"""The archive's address is not left on a node whose keepalived, or everything, stands still."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from hactl.adapters.processes import Process, UnitProcesses
from hactl.agent.archive_address import EVERY, LIFE, STOPPED_FOR, Address
from hactl.agent.node_looks import keepalived_probe
from hactl.view.model import Probe, State

VRRP_TAKES = 0.9  # seconds without an advertisement: three intervals of 0.25 s, and the skew
WELL, FROZEN = Probe(State.OK), Probe(State.FAILED, "keepalived is frozen")


@dataclass
class Machine:
    probe: Probe = WELL
    address: bool = True
    now: float = 100.0
    until: float | None = None  # the kernel's; None: for ever
    said: list[str] = field(default_factory=list)

    def here(self) -> bool:
        return self.address and (self.until is None or self.now < self.until)

    def live(self, seconds: int) -> bool:
        self.until = self.now + seconds
        return True

    def remove(self) -> bool:
        self.address = False
        return True

    def run(self, seconds: float) -> None:
        address = Address(
            lambda: self.probe, self, lambda: self.now, lambda what, **_: self.said.append(what)
        )
        end = self.now + seconds
        while self.now < end:
            address.round()
            self.now += EVERY


def test_a_frozen_keepalived_loses_the_address_before_another_node_takes_it() -> None:
    machine = Machine(probe=FROZEN)
    machine.run(STOPPED_FOR + 2 * EVERY)
    assert not machine.here()
    assert STOPPED_FOR + 2 * EVERY < VRRP_TAKES
    assert len(machine.said) == 1


@pytest.mark.parametrize("state", [State.OK, State.UNKNOWN])
def test_where_keepalived_lives_or_cannot_be_seen_it_lives_on(state: State) -> None:
    machine = Machine(probe=Probe(state))
    machine.run(5)
    assert machine.here()
    machine.now += LIFE
    assert not machine.here(), "and no longer than the agent"


def test_one_look_is_not_enough() -> None:
    machine = Machine(probe=FROZEN)
    machine.run(EVERY)
    assert machine.here()
    machine.probe = WELL
    machine.run(EVERY)
    machine.probe = FROZEN
    machine.run(EVERY)
    assert machine.here()


def test_a_node_without_the_address_has_nothing_to_do() -> None:
    machine = Machine(probe=FROZEN, address=False)
    machine.run(5)
    assert (machine.said, machine.until) == ([], None)


def test_what_counts_as_frozen() -> None:
    stopped = UnitProcesses((Process(1, "keepalived", "S"), Process(2, "keepalived", "T")))
    assert keepalived_probe(stopped).failed
    assert keepalived_probe(UnitProcesses(())).failed
    assert keepalived_probe(UnitProcesses((Process(1, "keepalived", "S"),))).ok
