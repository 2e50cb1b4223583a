"""A leader of etcd whose disk stalls ends everybody's leases once it goes on (etcd#15247). A real disk."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.act import operation
from hactl.act.maintenance import Operator
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.errors import Unreachable
from hactl.lab import datadisk
from hactl.view.keys import Keys
from hactl.view.kv import Put
from tests.support.servers import EtcdCluster, Loopback, etcd_cluster, loopback, wait_until

KEYS = Keys("demo")
STALLED = "db1"


def told(*argv: str | Path) -> None:
    subprocess.run([str(a) for a in argv], check=True, timeout=30, capture_output=True)


@contextlib.contextmanager
def disk(file: Path, place: Path) -> Iterator[None]:
    """An ext4 of its own there: where there is no /dev/loop0, too."""
    datadisk.make(file, (0, 0), 256 * 1024**2)
    datadisk.mount(file, place)
    try:
        yield
    finally:
        # The device goes with its last mount: a machine that was started meanwhile may still have one.
        told("umount", "--lazy", place)


@contextlib.contextmanager
def stalled(place: Path) -> Iterator[None]:
    told("fsfreeze", "--freeze", place)
    try:
        yield
    finally:
        told("fsfreeze", "--unfreeze", place)


@pytest.fixture
def net() -> Iterator[Loopback]:
    with loopback() as found:
        yield found


@pytest.fixture
def place(net: Loopback) -> Iterator[Path]:
    found = net.folder / f"etcd-{STALLED}"
    # Where device nodes work: /tmp is often mounted without.
    where = tempfile.TemporaryDirectory(prefix="hactl-test-", dir="/var/tmp")
    with where as folder, disk(Path(folder) / "disk.img", found):
        yield found


@pytest.fixture
def cluster(net: Loopback, place: Path) -> Iterator[EtcdCluster]:
    del place
    with etcd_cluster(net) as found:
        yield found


def client(net: Loopback, cluster: EtcdCluster, *first: str) -> EtcdKvClient:
    site = net.site()
    urls = {n: cluster.endpoints[n] for n in (*first, *sorted(set(cluster.endpoints) - set(first)))}
    return EtcdKvClient(urls, HttpsClient(site.ca, site.cert, site.key))


def test_the_operation_lock_outlives_what_such_a_leader_does_once_it_goes_on(
    net: Loopback, cluster: EtcdCluster, place: Path
) -> None:
    kv, other = client(net, cluster, STALLED), client(net, cluster, "db2")
    me = next(m.member_id for m in kv.members(within=5) if m.name == STALLED)
    kv.move_leader(me, within=5)
    wait_until("it leads", lambda: kv.status(STALLED, within=2).leader_id == me, 10)
    with operation.held(Operator(other, KEYS, SystemClock(), "anna", "desk"), "switchover") as who:
        before = other.range(KEYS.operation, within=2).first
        with stalled(place):
            with contextlib.suppress(Unreachable):  # what it has to write down stops it
                kv.txn((), (Put("/written", "x"),), within=0.5)
            time.sleep(operation.TTL + 5)  # to its mind nobody renews
            assert other.status("db2", within=2).leader_id not in ("", "0", me)
            who.still()
        time.sleep(2 * operation.EVERY)
        who.still()
        after = other.range(KEYS.operation, within=2).first
    assert before is not None
    assert after is not None
    assert before.lease != after.lease, "etcd ended the first one: without that this test proves nothing"
    kv.close()
    other.close()
