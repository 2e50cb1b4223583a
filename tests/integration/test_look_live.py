"""What `plan` and `failover --explain` see of a real etcd whose cluster has lost its primary."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hactl.cli.live import watch
from hactl.decide.explain import Branch, explain
from hactl.decide.plan import OpenIncident
from hactl.ports import EtcdKv
from hactl.view.control_text import controller_text
from hactl.view.keys import Keys
from hactl.view.kv import Put
from hactl.view.parse.agent_facts import facts_text
from hactl.wiring_controller import controller_ports
from tests.support.servers import etcd_cluster, loopback
from tests.support.views import agent

KEYS = Keys("demo")
LSN = 67108960


def member(role: str, **more: object) -> str:
    return json.dumps({"state": "running", "role": role, "timeline": 3, "xlog_location": LSN, **more})


@contextmanager
def installation(kv: EtcdKv, *, controller: bool) -> Iterator[None]:
    """Keys of a healthy cluster, facts of living agents; nobody renews a lease, no Patroni answers."""
    standby = member("replica", replication_state="streaming")
    kv.txn((), [
        Put(f"{KEYS.patroni}leader", "db1"),
        Put(f"{KEYS.patroni}sync", '{"leader":"db1","sync_standby":"db2"}'),
        Put(f"{KEYS.patroni}members/db1", member("primary")),
        Put(f"{KEYS.patroni}members/db2", standby),
        Put(KEYS.mode("db1"), "leased"),
        Put(KEYS.alive("db1"), "{}"),
        *([Put(KEYS.controller, controller_text("wit1", "b", "now", "x"))] if controller else []),
    ], within=5)  # fmt: skip
    stop = threading.Event()

    def publish() -> None:
        seq = 0
        while not stop.wait(0.5):
            seq += 1
            puts = [Put(KEYS.facts(n), facts_text(agent(n, seq=seq))) for n in ("db2", "wit1")]
            kv.txn((), puts, within=2, again=True)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        yield
    finally:
        stop.set()
        publisher.join(5)


def find(tree: Branch, code: str) -> Branch:
    def inside(branch: Branch) -> Iterator[Branch]:
        yield branch
        for part in branch.under:
            yield from inside(part)

    return next(b for b in inside(tree) if b.code == code)


def test_a_look_explains_and_changes_nothing() -> None:
    for controller in (False, True):
        with loopback() as net, etcd_cluster(net):
            ports = controller_ports(net.spec(), net.site(), "wit1")
            with installation(ports.kv, controller=controller):
                before = ports.kv.range(KEYS.own, prefix=True, within=2)
                start = time.monotonic()
                seen = watch(net.spec(), ports, 2.5)
                assert time.monotonic() - start < 4
                after = ports.kv.range(KEYS.own, prefix=True, within=2)
            assert {p.key for p in after.pairs} - {p.key for p in before.pairs} <= {
                KEYS.facts("db2"), KEYS.facts("wit1"),
            }  # fmt: skip
            tree = explain(seen.spec, seen.view, seen.memory, seen.now)
            assert find(tree, "RPO").said == "0: db2 has every acknowledged commit"
            assert seen.active == ("wit1" if controller else None)
            steps = [s.action for plan in seen.plans().values() for s in plan.steps]
            assert not any(isinstance(a, OpenIncident) for a in steps), (
                "a primary that it never saw is not suspected"
            )
            ports.kv.close()
