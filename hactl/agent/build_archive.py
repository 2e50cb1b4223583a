"""What the agent of an archive node has besides: the keeper of ports and storage, the minute's check."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from hactl.agent.archive_address import EVERY as ADDRESS_EVERY
from hactl.agent.archive_address import Address
from hactl.agent.archive_check import Checks
from hactl.agent.archive_loop import ArchiveMachine, Keeper
from hactl.agent.looks import Look
from hactl.agent.node_looks import KEEPALIVED_UNIT, keepalived_probe
from hactl.agent.renewal import Me
from hactl.view.archive import Drain
from hactl.view.parse.archive import parse_drain
from hactl.wiring_agent import AgentParts, ArchiveParts

ETCD_WITHIN = 1.5


@dataclass(frozen=True)
class ArchiveSide:
    keeper: Keeper
    start: Callable[[threading.Event], None]


def build(
    cluster: str, me: Me, parts: AgentParts, own: ArchiveParts, changed: Callable[[], None]
) -> ArchiveSide:
    key = me.keys.archive_drain(me.node)

    def drain() -> Drain | None:
        found = parts.kv.range(key, within=ETCD_WITHIN).first
        return None if found is None else parse_drain(me.node, found.value)

    checks = Checks(me.node, own.check, changed)
    machine = ArchiveMachine(
        node=me.node,
        cluster=cluster,
        door=own.door,
        eyes=own.eyes,
        notes=own.notes,
        acts=parts.acts,
        holding=own.vip.here,
        drain=drain,
        prove=own.known.prove,
        program=own.program,
        check=checks.last,
    )
    keeper = Keeper(machine, parts.clocks, parts.events.say, changed)
    now = parts.clocks.monotonic
    kept = Address(
        lambda: keepalived_probe(parts.processes.of(KEEPALIVED_UNIT)), own.vip, now, parts.events.say
    )
    address = Look("address", kept.round, ADDRESS_EVERY, now)

    def start(stop: threading.Event) -> None:
        keeper.start(stop)
        checks.start(stop)
        address.start(stop)
        threading.Thread(
            target=parts.kv.watch, args=((key,), keeper.look_again, stop), name="drain-watch", daemon=True
        ).start()

    return ArchiveSide(keeper, start)
