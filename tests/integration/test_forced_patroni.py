"""A failover by hand as Patroni understands it: an asynchronous standby is promoted once it is named."""

from __future__ import annotations

import time

from hactl.act import forced, node_keys
from hactl.act.maintenance import Operator
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.view.control import FenceIntent, Leader
from hactl.view.control_text import compact
from hactl.view.keys import Keys
from hactl.view.kv import Put
from tests.support.servers import etcd_cluster, loopback, patroni_pair, wait_until

WAITED = 6.0  # s: some of Patroni's rounds


def test_an_asynchronous_standby_is_promoted_only_when_it_is_named() -> None:
    with loopback() as net, etcd_cluster(net) as cluster, patroni_pair(net) as pair:
        kv = EtcdKvClient(cluster.endpoints, HttpsClient(net.ca.crt, net.cert.cert, net.cert.key))
        keys = Keys(net.spec().cluster)
        operator = Operator(kv, keys, SystemClock(), "operator anna", "desk")
        primary = pair.wait_streaming()
        target = "db2" if primary == "db1" else "db1"
        pair.kill(primary)
        alone = compact({"leader": primary, "sync_standby": None})
        kv.txn((), (Put(f"{keys.patroni}sync", alone),), within=2)
        held = kv.range(keys.leader, within=2).first
        assert held is not None
        leader = Leader(held.value, held.lease, held.mod_revision)
        intent = FenceIntent(primary, 1, "by-hand-1", "anna", leader, "test")
        node_keys.fence(operator, intent, [target])
        assert forced._release(operator, intent, target, "")
        time.sleep(WAITED)
        assert kv.range(keys.leader, within=2).first is None, "Patroni does not choose it"
        order = compact({"member": target})
        assert forced._release(operator, intent, target, order)
        wait_until(f"{target} leads", lambda: pair.leader() == target, 30)
        wait_until("Patroni has emptied its key", lambda: _switchover(kv, keys) in {None, "{}"}, 30)
        kv.close()


def _switchover(kv: EtcdKvClient, keys: Keys) -> str | None:
    found = kv.range(keys.switchover, within=2).first
    return found.value if found is not None else None
