"""Controllers as processes of their own, against a real etcd: killed, ended, told to read the spec again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hactl.ports import EtcdKv
from hactl.view.keys import Keys
from hactl.view.kv import Delete
from hactl.wiring import etcd_kv
from tests.support.servers import Loopback, etcd_cluster, loopback, wait_until

KEYS = Keys("demo")
CHILD = """
import pickle, sys
from pathlib import Path
from hactl.controller.main import serve
from hactl.errors import HactlError, SpecError

me, folder = sys.argv[1], Path(sys.argv[2])
spec, site = pickle.loads((folder / "given").read_bytes())

def load():
    if (folder / "broken").exists():
        raise SpecError("cluster.yaml", ())
    return spec

try:
    serve(spec, site, load, me=me, state=folder / f"state-{me}")
except HactlError as error:
    sys.exit(f"{error.exit_code} {error.message}")
"""


@dataclass
class Process:
    me: str
    child: subprocess.Popen[bytes]
    log: Path

    def events(self) -> list[dict[str, Any]]:
        lines = self.log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def said(self, event: str) -> bool:
        return any(e["event"] == event for e in self.events())

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        if self.child.poll() is None:
            self.child.send_signal(number)
        return self.child.wait(30)


@dataclass
class Site:
    net: Loopback
    kv: EtcdKv
    processes: list[Process]

    def start(self, me: str) -> Process:
        log = self.net.folder / f"{me}-{len(self.processes)}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, me, str(self.net.folder)],
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        self.processes.append(Process(me, child, log))
        return self.processes[-1]

    def active(self) -> str | None:
        pair = self.kv.range(KEYS.controller, within=3).first
        return json.loads(pair.value)["node"] if pair else None

    def wait(self, what: str, ok: Callable[[], bool], within: float = 60) -> float:
        began = time.monotonic()
        try:
            wait_until(what, ok, within)
        except AssertionError as error:
            logs = [(p.me, p.log.read_text()[-300:]) for p in self.processes]
            raise AssertionError(f"{error}: {logs}") from error
        return time.monotonic() - began


@pytest.fixture(scope="module")
def base() -> Iterator[Site]:
    import pickle

    with loopback() as net, etcd_cluster(net):
        spec, site = net.spec(), net.site()
        site.pgpass.touch(mode=0o600)
        (net.folder / "given").write_bytes(pickle.dumps((spec, site)))
        kv = etcd_kv(spec, site, "wit1")
        yield Site(net, kv, [])
        kv.close()


@contextmanager
def _two(base: Site) -> Iterator[tuple[Site, Process, Process]]:
    site = Site(base.net, base.kv, [])
    try:
        one = site.start("wit1")
        site.wait("the first one is active", lambda: site.active() == "wit1")
        two = site.start("db2")
        site.wait("the second one stands by", lambda: two.said("standing by"))
        yield site, one, two
    finally:
        for process in site.processes:
            process.end()
        # As the end of its lease would, in some seconds: who could renew it is dead.
        base.kv.txn((), [Delete(KEYS.controller)], within=5, again=True)


def test_a_killed_one_is_replaced_within_four_seconds(base: Site) -> None:
    with _two(base) as (site, one, _):
        one.end()
        assert (
            site.wait("another one is active", lambda: site.active() == "db2") < 5
        )  # 4 s and a busy machine


def test_one_that_is_killed_and_started_again_takes_its_place_at_once(base: Site) -> None:
    with _two(base) as (site, one, two):
        one.end()
        again = site.start("wit1")
        site.wait("one is active again", lambda: again.said("active") or two.said("active"))
        assert site.active() in {"wit1", "db2"}


def test_sigterm_hands_over_at_once_and_ends_with_0(base: Site) -> None:
    with _two(base) as (site, one, _):
        began = time.monotonic()
        assert one.end(signal.SIGTERM) == 0
        assert time.monotonic() - began < 10
        assert one.said("stopped")
        assert site.wait("the other one is active", lambda: site.active() == "db2") < 1


def test_a_frozen_one_is_replaced_and_does_not_come_back(base: Site) -> None:
    with _two(base) as (site, one, two):
        one.child.send_signal(signal.SIGSTOP)
        try:
            site.wait("the other one is active", lambda: site.active() == "db2", 8)
        finally:
            one.child.send_signal(signal.SIGCONT)
        site.wait("the thawed one knows", lambda: one.said("standing by"))
        assert site.active() == "db2"
        assert two.child.poll() is None


def test_sighup_reads_the_spec_again_and_keeps_the_lease(base: Site) -> None:
    with _two(base) as (site, one, two):
        one.child.send_signal(signal.SIGHUP)
        site.wait("it was read", lambda: one.said("spec read again"))
        time.sleep(1)
        assert site.active() == "wit1"
        assert not two.said("active")
        assert one.child.poll() is None


def test_a_spec_that_cannot_be_used_is_refused_and_the_old_one_stays(base: Site) -> None:
    broken = base.net.folder / "broken"
    broken.touch()
    try:
        with _two(base) as (site, one, _):
            one.child.send_signal(signal.SIGHUP)
            site.wait("it was refused", lambda: one.said("spec refused"))
            assert site.active() == "wit1"
            assert one.child.poll() is None
    finally:
        broken.unlink()


def test_a_second_one_on_the_same_node_does_not_start(base: Site) -> None:
    with _two(base) as (site, *_):
        again = site.start("wit1")
        assert again.child.wait(20) != 0
        assert "another controller runs on this node" in again.log.read_text()


def test_an_archive_node_has_no_controller(base: Site) -> None:
    site = Site(base.net, base.kv, [])
    refused = site.start("arc1")
    assert refused.child.wait(20) != 0
    assert "controllers run on database nodes and witnesses" in refused.log.read_text()


def test_etcd_away_and_back_does_not_end_it(base: Site) -> None:
    """No quorum: it does nothing, says so, and goes on when etcd is back."""
    with _two(base) as (site, one, _):
        folder = f"{base.net.folder}/etcd-"
        members = [int(p.name) for p in Path("/proc").glob("[0-9]*") if folder in _line(int(p.name))]
        for pid in members:
            os.kill(pid, signal.SIGSTOP)
        try:
            site.wait("it is noticed", lambda: one.said("etcd does not answer"))
        finally:
            for pid in members:
                os.kill(pid, signal.SIGCONT)
        site.wait("one is active again", lambda: site.active() is not None)
        assert one.child.poll() is None


def _line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
