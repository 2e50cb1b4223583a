"""Patroni itself runs hactl's programs: a former primary rejoins with a ledger, and is then copied anew."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.postgres_programs import Programs, install
from tests.support.servers import (
    EtcdCluster,
    Loopback,
    PatroniPair,
    etcd_cluster,
    loopback,
    patroni_pair,
    release_leader,
    wait_until,
)

LOST = 5


@dataclass
class Installation:
    net: Loopback
    etcd: EtcdCluster
    pair: PatroniPair
    programs: Programs

    def other(self, node: str) -> str:
        return next(name for name in self.pair.members if name != node)

    def reinitialize(self, node: str) -> str:
        """As the root helper `act` does (templates/agent/act.j2)."""
        config = self.net.folder / f"patroni-{node}.yml"
        program = Path(sys.executable).with_name("patronictl")
        ctl = [str(program), "-c", str(config), "reinit", "demo", node, "--force"]
        return subprocess.run(ctl, capture_output=True, text=True, timeout=30, check=True).stdout

    def data(self, node: str) -> Path:
        return self.net.folder / f"data-{node}"


@pytest.fixture
def installation() -> Iterator[Installation]:
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(loopback())
        net.owned(net.folder)  # as /var/lib/postgresql/15: the data folder can be renamed there
        etcd = stack.enter_context(etcd_cluster(net))
        programs = install(net.folder, net.folder / "data-db1")
        stack.callback(shutil.rmtree, programs.ledger, ignore_errors=True)
        pair = stack.enter_context(
            patroni_pair(
                net,
                postgresql={
                    "bin_name": {"pg_rewind": str(programs.lib / "pg-rewind")},
                    "create_replica_methods": ["hactl_clone"],
                    "hactl_clone": {"command": str(programs.lib / "clone"), "keep_data": True},
                },
            )
        )
        pair.wait_streaming()
        yield Installation(net, etcd, pair, programs)


def test_a_former_primary_rejoins_with_a_ledger_and_can_be_copied_anew(installation: Installation) -> None:
    pair, programs = installation.pair, installation.programs
    assert programs.entries() == []  # the standby was copied by hactl's program: there was nothing before it
    lost = pair.wait_streaming()
    survivor = installation.other(lost)
    pair.psql(lost, "create table t (n integer)")
    with pair.frozen(lost):
        release_leader(installation.net, installation.etcd.endpoints["wit1"])
        wait_until("the other one is primary", lambda: _writable(pair, survivor), 45)
        for _ in range(LOST):
            pair.psql(lost, "set synchronous_commit = local; insert into t values (1)")
        pair.psql(survivor, "set synchronous_commit = local; insert into t values (2)")
        pair.kill(lost)
    pair.members[lost].start()
    assert pair.wait_streaming(90) == survivor
    entry = programs.entry()
    assert (entry["commits"], entry["by"], entry["timeline"]) == (LOST, "rewind", 1), entry
    assert entry["wal_kept"]
    assert pair.psql(lost, "select n from t") == "2"

    (installation.data(lost) / "old").touch()
    said = installation.reinitialize(lost)
    assert said.strip().splitlines()[-1].startswith("Success: reinitialize"), said
    kept = installation.data(lost).with_name(f"data-{lost}.kept")
    wait_until("the old data are set aside", kept.exists, 60)
    # The old instance streams until it is stopped, and its data are gone before the copy is there.
    wait_until("the old data are gone", lambda: not _old(installation, lost), 60)
    wait_until("the copy is read from", lambda: _reads(pair, lost) == "2", 90)
    assert pair.wait_streaming(60) == survivor
    assert (kept / "old").exists()
    assert [e["by"] for e in programs.entries()] == ["rewind", "copy"]
    assert programs.entries()[1]["commits"] == 0


def _reads(pair: PatroniPair, node: str) -> str:
    """What a node's table holds; nothing while its PostgreSQL is down."""
    try:
        return pair.psql(node, "select n from t")
    except subprocess.CalledProcessError:
        return ""


def _old(installation: Installation, node: str) -> bool:
    return (installation.data(node) / "old").exists()


def _writable(pair: PatroniPair, node: str) -> bool:
    return pair.psql(node, "select pg_is_in_recovery()") == "f"
