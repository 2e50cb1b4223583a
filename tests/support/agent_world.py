"""A database node in memory, with its agent: etcd, packet filter, address, clocks."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from hactl.agent.hands import Body, Hands
from hactl.agent.holder import Holder
from hactl.agent.loop import LeaseLoop, Machine
from hactl.agent.primary import PrimaryLook
from hactl.agent.renewal import Me
from hactl.ports import PortClosed, Reply
from hactl.view.keys import Keys
from tests.fakes.agent import Clocks, FakeActs, FakeLease, FakeNotes, FakeVip, Heard
from tests.fakes.etcd import FakeEtcd

KEYS = Keys("demo")
L = 3.0


@dataclass
class World:
    clocks: Clocks = field(default_factory=Clocks)
    patroni: int = 200

    def __post_init__(self) -> None:
        self.etcd = FakeEtcd(self.clocks)
        self.lease, self.vip, self.notes = FakeLease(self.clocks), FakeVip(), FakeNotes()
        self.acts, self.heard = FakeActs(), Heard()
        self.postgres: str | None = "stopped"
        self.start()

    def start(self) -> None:
        """A new process: it knows only what files and kernel say."""
        self.holder = Holder(self.lease, self.vip, self.notes, self.clocks)
        self.primary = PrimaryLook(self.ask, "https://127.0.0.1:8008/primary", self.clocks, lambda: None)
        machine = Machine(self.lease, self.holder, self.primary, self.notes, self.clocks, self.heard)
        me = Me("db1", "boot", KEYS, L)
        body = Body(self.acts, self.lease, self.holder, self.notes, lambda: self.postgres)
        self.hands = Hands("db1", "boot", KEYS, self.etcd.client(), body, self.heard.event)
        self.loop = LeaseLoop(me, self.etcd.client(), machine, self.hands, self.heard.event)
        self.loop.go_leased()

    def ask(self, _method: str, _url: str, *, within: float) -> Reply:
        assert within
        if self.patroni == 0:
            raise PortClosed("refused")
        return Reply(self.patroni, b"")

    def round(self, pause: float = 0.5) -> None:
        self.clocks.now += pause
        self.primary.once()
        self.loop.round()

    def lead(self, node: str = "db1") -> None:
        self.etcd.put(KEYS.leader, node)

    def fence(self, epoch: int = 7) -> None:
        self.etcd.put(KEYS.fence("db1"), json.dumps({"epoch": epoch}))

    def lose_etcd(self) -> None:
        for name in self.etcd.names:
            self.etcd.kill(name)

    def serve(self) -> World:
        """It leads and holds the address."""
        self.lead()
        self.round()
        self.vip.present = True
        self.round()
        assert self.lease.passes()
        assert self.notes.may
        return self
