"""Builders of a look at all keys in etcd: start from health, change only what the test is about.

after_keys(facts_of("db1", keepalived=FAILED), budget("db1", "reinit", 2))
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from hactl.units import Bytes, Lsn
from hactl.view.control import (
    AgentFacts,
    Dcs,
    DcsMember,
    FenceIntent,
    Leader,
    Mode,
    Order,
    OrderDone,
    PatroniKeys,
    PeerLook,
    PostgresLocal,
)
from hactl.view.control_text import incident_text
from hactl.view.incident import Incident, Phase, Stamp
from hactl.view.model import DbRole, Disk, Probe, State

KeysChange = Callable[[Dcs], Dcs]
WELL = Probe(State.OK)
ILL = Probe(State.FAILED, "no answer within 1 s")
LEADER = Leader("db1", 71, 90)


def agent(node: str, **changes: Any) -> AgentFacts:
    """What the agent of a healthy node reports: db1 is primary and holds the address, db2 follows."""
    database = node in {"db1", "db2"}
    leads = node == "db1"
    local = PostgresLocal(leads, "" if leads else "db1", timeline=3, lsn=Lsn(0x3000000))
    usual = AgentFacts(
        node, f"boot-{node}", 1,
        mode=Mode.LEASED if database else None,
        lease_left=2.5 if leads else None,
        postgres=local if database else AgentFacts(node, "", 0).postgres,
        patroni=WELL, keepalived=WELL, canary=WELL,
        vips=("192.0.2.100",) if leads else (),
        peers={"db2" if leads else "db1": PeerLook(0)} if database else {},
        disks=(Disk("/", Bytes.mib(500), Bytes.mib(1000)),),
        units={"etcd.service": "active", "patroni.service": "active"},
    )  # fmt: skip
    return dataclasses.replace(usual, **changes)


def well() -> Dcs:
    return Dcs(
        revision=100,
        patroni=PatroniKeys(
            leader=LEADER,
            sync_leader="db1",
            sync_standbys=("db2",),
            members={
                "db1": DcsMember("db1", DbRole.PRIMARY, "running", timeline=3),
                "db2": DcsMember("db2", DbRole.STANDBY, "running", "streaming", timeline=3),
            },
        ),
        modes={"db1": Mode.LEASED, "db2": Mode.LEASED},
        facts={name: agent(name) for name in ("db1", "db2", "wit1", "arc1", "arc2")},
        active="wit1",
        standing_by=("db2",),
        epoch=4,
    )


def after_keys(*changes: KeysChange) -> Dcs:
    dcs = well()
    for change in changes:
        dcs = change(dcs)
    return dcs


def keys_with(**changes: Any) -> KeysChange:
    return lambda d: dataclasses.replace(d, **changes)


def facts_of(node: str, **changes: Any) -> KeysChange:
    return lambda d: dataclasses.replace(
        d, facts={**d.facts, node: dataclasses.replace(d.facts[node], **changes)}
    )


def postgres_of(node: str, **changes: Any) -> KeysChange:
    def change(dcs: Dcs) -> Dcs:
        local = dcs.facts[node].postgres
        assert isinstance(local, PostgresLocal)
        return facts_of(node, postgres=dataclasses.replace(local, **changes))(dcs)

    return change


def agent_silent(node: str) -> KeysChange:
    return lambda d: dataclasses.replace(d, facts={n: f for n, f in d.facts.items() if n != node})


def sync(*standbys: str) -> KeysChange:
    return lambda d: dataclasses.replace(d, patroni=dataclasses.replace(d.patroni, sync_standbys=standbys))


def led_by(node: str | None) -> KeysChange:
    leader = None if node is None else dataclasses.replace(LEADER, node=node)
    return lambda d: dataclasses.replace(d, patroni=dataclasses.replace(d.patroni, leader=leader))


def fenced(node: str) -> KeysChange:
    return keys_with(fences={node: FenceIntent(node, 4, "i1", "wit1", LEADER)})


def budget(node: str, rung: str, used: int) -> KeysChange:
    return lambda d: dataclasses.replace(d, budget={**d.budget, (node, rung): used})


def ordered(node: str, verb: str, *, unit: str = "", ok: bool | None = None) -> KeysChange:
    """An order to the node's agent; `ok` None: it has not answered."""

    def change(dcs: Dcs) -> Dcs:
        done = {} if ok is None else {node: OrderDone(node, "o1", ok)}
        return dataclasses.replace(
            dcs, orders={**dcs.orders, node: Order(node, "o1", verb, unit)}, done={**dcs.done, **done}
        )

    return change


def full(node: str, used: float) -> KeysChange:
    total = 1000.0
    return facts_of(node, disks=(Disk("/var", Bytes.mib(total * (1 - used)), Bytes.mib(total)),))


def incident(*phases: Phase) -> KeysChange:
    """An open incident, db2 lost, that has reached these phases."""
    stamps = tuple(Stamp(phase, "wit1", n, "") for n, phase in enumerate(phases))
    return keys_with(incident=incident_text(Incident("i1", "failover", "db2", "db1", 4, stamps=stamps)))


def at_second(dcs: Dcs, second: int) -> Dcs:
    """As it looks `second` seconds later: every agent that reports has written again."""
    facts = {n: dataclasses.replace(f, seq=f.seq + second) for n, f in dcs.facts.items()}
    return dataclasses.replace(dcs, facts=facts)
