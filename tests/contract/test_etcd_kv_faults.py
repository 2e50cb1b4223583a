"""A real etcd whose answers are lost, that restarts; certificates that are renewed under the client."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd_kv import EtcdKvClient
from hactl.adapters.http import HttpsClient
from hactl.adapters.journal_file import JournalFile
from hactl.controller.journal import EtcdJournal, Writer
from hactl.controller.journal_copy import Replica
from hactl.errors import Unreachable
from hactl.ports import MaybeDone
from hactl.view.journal import records
from hactl.view.journal_check import verify
from hactl.view.keys import Keys
from hactl.view.kv import Get, Put, absent
from tests.support.servers import EtcdCluster, Loopback, etcd_cluster, loopback, wait_until

KEYS = Keys("demo")


class Deaf:
    """A TCP relay that can keep the server's answers to itself."""

    def __init__(self, listen: str, to: tuple[str, int]) -> None:
        self.silent = threading.Event()
        self._to = to
        self._server = socket.create_server((listen, 2379))
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._server.accept()
                server = socket.create_connection(self._to)
                self._open += [client, server]
                for pair, filtered in (((client, server), False), ((server, client), True)):
                    threading.Thread(target=self._pump, args=(*pair, filtered), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, filtered: object) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not (filtered and self.silent.is_set()):
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for it in (self._server, *self._open):
            with contextlib.suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)
            it.close()


@pytest.fixture(scope="module")
def net() -> Iterator[Loopback]:
    with loopback() as found:
        yield found


@pytest.fixture(scope="module")
def cluster(net: Loopback) -> Iterator[EtcdCluster]:
    with etcd_cluster(net) as found:
        yield found


@pytest.fixture
def files(net: Loopback) -> HttpsClient:
    site = net.site()
    return HttpsClient(site.ca, site.cert, site.key)


def test_an_answer_that_is_lost(net: Loopback, cluster: EtcdCluster, files: HttpsClient) -> None:
    relay = Deaf(f"{net.prefix}.100", (net.address("db1"), 2379))
    kv = EtcdKvClient({"db1": f"https://{net.prefix}.100:2379", "db2": cluster.endpoints["db2"]}, files)
    kv.range("/x", within=2)
    relay.silent.set()
    start = time.monotonic()
    with pytest.raises(MaybeDone):
        kv.txn((), [Put("/x", "made")], within=0.5)
    assert time.monotonic() - start < 0.8
    found = kv.range("/x", within=1).first
    assert found is not None, "it was made, and nobody sent it twice"
    assert (found.value, found.version) == ("made", 1)
    kv._order.works("db1")  # as after two seconds: it is asked first again
    relay.silent.clear()
    kv.range("/x", within=2)
    relay.silent.set()
    reply = kv.txn([absent("/y")], [Put("/y", "once")], [Get("/y")], within=1, again=True)
    assert not reply.succeeded, "the first try was made, and the second endpoint shows it"
    assert reply.results[0][0].value == "once"
    kv.close()
    relay.close()


def test_a_member_that_was_started_anew(cluster: EtcdCluster, files: HttpsClient) -> None:
    """The connections kept to it are dead; a change must not be lost on one of them."""
    kv = EtcdKvClient({"wit1": cluster.endpoints["wit1"]}, files)
    kv.txn((), [Put("/r", "1")], within=2)
    member = cluster.members["wit1"]
    member.kill()
    with pytest.raises(Unreachable) as failed:
        kv.txn((), [Put("/r", "2")], within=1)
    assert not isinstance(failed.value, MaybeDone), "nobody was there to take it"
    member.start()

    def back() -> bool:
        with contextlib.suppress(Unreachable):
            return bool(kv.range("/r", within=1).first)
        return False

    wait_until("wit1 answers", back, 20)
    assert kv.txn((), [Put("/r", "2")], within=2).succeeded
    kv.close()


def test_a_renewed_certificate_is_used_for_the_next_connection(
    net: Loopback, cluster: EtcdCluster, tmp_path: Path
) -> None:
    site = net.site()
    cert, key = tmp_path / "cert", tmp_path / "key"
    cert.write_bytes(site.cert.read_bytes())
    key.write_bytes(site.key.read_bytes())
    files = HttpsClient(site.ca, cert, key)
    kv = EtcdKvClient({"db1": cluster.endpoints["db1"]}, files)
    kv.range("/x", within=2)
    first = files.context()
    assert files.context() is first
    renewed = net.ca.issue("renewed", ["127.0.0.1"])
    cert.write_bytes(renewed.cert.read_bytes())
    assert files.context() is first, "the key does not fit yet: the old pair is used on"
    key.write_bytes(renewed.key.read_bytes())
    assert files.context() is not first
    kv.close()
    kv.range("/x", within=2)
    kv.close()


def test_an_intent_in_a_real_etcd_costs_less_than_50_ms(
    cluster: EtcdCluster, files: HttpsClient, tmp_path: Path
) -> None:
    """Median of 20, on this machine under load; then the copy has all of it."""
    kv = EtcdKvClient(cluster.endpoints, files)
    kv.txn((), [Put(KEYS.controller, "me")], within=2)
    file = JournalFile(tmp_path / "journal" / "journal.jsonl")
    journal = EtcdJournal(kv, KEYS, Writer("wit1", "boot", lambda: "me"), SystemClock(), file)
    journal.begin()
    took = []
    for _ in range(20):
        start = time.monotonic()
        seq = journal.intent("release-leader", incident="i", epoch=1, data={"reason": "proved"})
        took.append(time.monotonic() - start)
        journal.result(seq, ok=True)
    assert sorted(took)[10] < 0.05
    Replica(kv, KEYS, file).follow_once()
    entries = file.entries()
    assert len(records(entries)) == 40
    assert verify(entries) == ()
    kv.close()
