"""The ports of hactl, answered from memory. tests/contract holds each against the real thing."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from hactl.errors import Unreachable
from hactl.ports import NodeLook, PortClosed, Ports, Reply, Silent
from hactl.view.control import Dcs
from hactl.view.model import (
    EtcdMember,
    EtcdStatus,
    PatroniCluster,
    PatroniSelf,
    Probe,
    State,
)
from tests.support import views

OK = Probe(State.OK)


class RealClock:
    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class FakeHost:
    answer: Probe = OK

    def reachable(self) -> Probe:
        return self.answer


@dataclass
class FakePatroni:
    """`up` False: its port is closed."""

    said: PatroniSelf
    known: PatroniCluster
    dynamic: Mapping[str, object] = field(default_factory=dict)
    up: bool = True

    def _must_be_up(self) -> None:
        if not self.up:
            raise PortClosed("patroni: connection refused")

    def itself(self) -> PatroniSelf:
        self._must_be_up()
        return self.said

    def cluster(self) -> PatroniCluster:
        self._must_be_up()
        return self.known

    def config(self) -> Mapping[str, object]:
        self._must_be_up()
        return self.dynamic


@dataclass
class FakeEtcdWorld:
    """What the members share: who is alive, and Patroni's keys. The first alive leads, given a majority."""

    names: tuple[str, ...]
    alive: set[str] = field(default_factory=set)
    keys: Dcs = field(default_factory=lambda: Dcs(1))

    def __post_init__(self) -> None:
        self.alive = self.alive or set(self.names)

    def member_id(self, name: str) -> str:
        return str(100 + self.names.index(name))

    def leader(self) -> str | None:
        alive = [n for n in self.names if n in self.alive]
        return alive[0] if len(alive) * 2 > len(self.names) else None


@dataclass
class FakeEtcd:
    name: str
    world: FakeEtcdWorld

    def _must_be_up(self) -> None:
        if self.name not in self.world.alive:
            raise PortClosed(f"etcd {self.name}: connection refused")

    def status(self) -> EtcdStatus:
        self._must_be_up()
        leader = self.world.leader()
        if leader is None:
            return EtcdStatus(self.world.member_id(self.name), "", "3.4", errors=("etcdserver: no leader",))
        return EtcdStatus(self.world.member_id(self.name), self.world.member_id(leader), "3.4")

    def members(self) -> tuple[EtcdMember, ...]:
        self._must_be_up()
        return tuple(EtcdMember(self.world.member_id(n), n) for n in self.world.names)

    def keys(self) -> Dcs:
        self._must_be_up()
        if self.world.leader() is None:
            raise Unreachable(f"etcd {self.name}: no answer in time")
        return self.world.keys


@dataclass
class FakeArchive:
    levels: dict[str, Probe] = field(default_factory=dict)

    def listens(self) -> Probe:
        return self.levels.get("L0", OK)

    def answers(self) -> Probe:
        return self.levels.get("L1", OK)

    def index(self) -> Probe:
        return self.levels.get("L2", OK)

    def version(self) -> str:
        return "1.10.1"


@dataclass
class FakeVip:
    address: str
    node: str | None

    def holder(self) -> str | None:
        return self.node


@dataclass
class FakeNode:
    said: NodeLook

    def look(self) -> NodeLook:
        return self.said


@dataclass
class FakeHttp:
    """Canned replies by URL; a URL without one is an address that answers nothing."""

    replies: dict[str, Reply] = field(default_factory=dict)
    sent: list[tuple[str, str, bytes]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(
        self,
        method: str,
        url: str,
        *,
        within: float,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        del within, headers
        with self.lock:
            self.sent.append((method, url, body))
        if url not in self.replies:
            raise Silent(f"{url}: no connection within 1 s")
        return self.replies[url]


def look_reply(pairs: Mapping[str, str]) -> Reply:
    """etcd's answer to a look: a transaction that reads."""
    rows = [{"key": _b64(k), "value": _b64(v)} for k, v in pairs.items()]
    found = {"header": {"revision": "5"}, "succeeded": True, "responses": [{"response_range": {"kvs": rows}}]}
    return Reply(200, json.dumps(found).encode())


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def healthy_ports() -> Ports:
    """The installation of tests/support/views.healthy, as ports."""
    view = views.healthy()
    world = FakeEtcdWorld(("wit1", "db1", "db2"), keys=views.look())
    patroni = {}
    for name, seen in view.patroni.items():
        assert isinstance(seen.itself, PatroniSelf)
        assert isinstance(seen.cluster, PatroniCluster)
        patroni[name] = FakePatroni(seen.itself, seen.cluster)
    return Ports(
        clock=RealClock(),
        nodes={name: FakeHost() for name in view.nodes},
        patroni=patroni,
        etcd={name: FakeEtcd(name, world) for name in view.etcd},
        archives={name: FakeArchive() for name in view.archives},
        vips={"database": FakeVip("192.0.2.100", "db1"), "archive": FakeVip("192.0.2.101", "arc1")},
    )
