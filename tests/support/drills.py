"""Forged histories: a small model of a pair that fails over, as clients and watchers would see it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

from hactl.drill.history import (
    Answered,
    Asked,
    Claim,
    Event,
    Glance,
    Journaled,
    KeySeen,
    Look,
    Mark,
    Ordered,
    Outcome,
    Read,
    Row,
    Server,
    Sound,
    Table,
    Write,
)
from hactl.view.control_text import incident_object
from hactl.view.incident import Incident
from hactl.view.journal import Kind, Record, sealed, text_of

DB1 = Server("db1", "7000", 1, "10:00")
DB2 = Server("db2", "7000", 2, "10:01")


@dataclass
class Forge:
    """Builds a consistent history step by step; `now` is its clock."""

    now: float = 100.0
    events: list[Event] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    seqs: dict[str, int] = field(default_factory=dict)
    next_id: int = 1
    first: int = 40  # number of the first record
    journal: list[Record] = field(default_factory=list)
    keys: dict[str, str | None] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)
    odd: bool = False  # db2's table lacks the last row
    sound: dict[str, Sound] = field(default_factory=dict)

    def write(
        self,
        server: Server | None,
        outcome: Outcome = Outcome.OK,
        *,
        client: str = "w1",
        there: bool | None = None,
        inside: str = "",
    ) -> Write:
        """One write of 20 ms. `there`: whether its row stands (default: exactly when acknowledged).

        By a connection of its own if it is the probe, or its name says that it is new.
        """
        seq = self.seqs[client] = self.seqs.get(client, 0) + 1
        sent = None if outcome is Outcome.FAIL else self.now + 0.01
        fresh = client == "probe" or client.startswith("new-")
        write = Write(
            client, seq, self.now, sent, self.now + 0.02, outcome, server, fresh=fresh, inside=inside
        )
        self.events.append(write)
        if there if there is not None else outcome is Outcome.OK:
            self.rows.append(Row(client, seq, self.next_id))
        self.next_id += 1
        self.now += 0.05
        return write

    def look(self, **held: tuple[str, ...] | None) -> None:
        self.events.append(
            Look(self.now, {n: Glance(self.now, self.now + 0.001, h) for n, h in held.items()})
        )
        self.now += 0.1

    def answer(self, *nodes: str) -> None:
        """To a client that asks for the database VIP by ARP."""
        macs = tuple(f"02:00:00:00:00:0{node[-1]}" for node in nodes)
        self.events.append(Answered(self.now, self.now + 0.05, {"database": macs}))
        self.now += 0.1

    def ask(self, **said: Server | bool | None) -> None:
        """What database nodes say: the server (writable), False (in recovery), None (nothing)."""
        for node, answer in said.items():
            server = answer if isinstance(answer, Server) else None
            writable = answer if answer is None else server is not None
            self.events.append(Claim(node, self.now, self.now + 0.002, writable, server))

    def read(self, node: str = "db2", *, behind: int = 0, recovery: bool = False) -> Read:
        """One read of 2 ms that sees every row there is, but of each client the last `behind`."""
        seen = dict.fromkeys(self.seqs, 0)
        for row in self.rows:
            seen[row.client] = max(seen[row.client], row.seq)
        seen = {client: max(0, seq - behind) for client, seq in seen.items()}
        begin = self.now
        read = Read("r1", begin, begin + 0.001, begin + 0.002, Outcome.OK, seen, node, recovery)
        self.events.append(read)
        self.now += 0.01
        return read

    def key(self, name: str, value: str | None) -> KeySeen:
        """Etcd at a look: what changed since the one 0.2 s before."""
        seen = KeySeen(name, self.now - 0.2, self.now, self.keys.get(name), value)
        self.keys[name] = value
        self.events.append(seen)
        return seen

    def act(self, action: str, *, ok: bool | None = True, said: str = "done", **fields: Any) -> Record:
        """An intent now and its result 10 ms later, by the active controller."""
        more = fields.pop("closed", {})
        intent = self.record(Kind.INTENT, action, self.now, **fields)
        about = {name: fields[name] for name in ("incident", "epoch") if name in fields}
        data = {"ok": ok, "said": said, **more}
        self.record(Kind.RESULT, action, self.now + 0.01, of=intent.seq, data=data, **about)
        self.now += 0.02
        return intent

    def record(self, kind: Kind, action: str, at: float, **fields: Any) -> Record:
        record = sealed(Record(
            seq=self.first + len(self.journal), wall="2026-11-22T08:00:00+00:00", mono_ms=int(at * 1000),
            boot="b", node="wit1", actor="controller", kind=kind, action=action,
            prev=self.journal[-1].hash if self.journal else "e" * 64, **fields,
        ))  # fmt: skip
        self.journal.append(record)
        return record

    def kept(self) -> list[Event]:
        """The whole history: with tables, journal, and what it is judged by."""
        tables = [Table(node, tuple(rows)) for node, rows in self.tables.items()]
        lines = tuple(text_of(r) for r in self.journal)
        return [*self.events, *tables, *self.sound.values(), Journaled(lines), self.asked]

    def mark(self, what: str, node: str, lasting: float = 0.1) -> None:
        self.events.append(Mark(self.now, self.now + lasting, what, node))
        self.now += lasting

    @property
    def tables(self) -> dict[str, list[Row]]:
        return {"db1": list(self.rows), "db2": self.rows[:-1] if self.odd else list(self.rows)}

    def swap(self, write: Write, **changes: object) -> None:
        """Puts a changed copy in a write's place."""
        self.events[self.events.index(write)] = replace(write, **changes)  # type: ignore[arg-type]


def failover() -> Forge:
    """The primary's host is lost and the standby takes over: nothing wrong with it."""
    forge = Forge()
    for _ in range(3):
        forge.write(DB1)
        forge.write(DB1, client="probe")
        forge.ask(db1=DB1, db2=False)
        forge.look(db1=("database",), db2=())
    forge.mark("fault", "db1")
    forge.write(DB1, Outcome.INFO, there=True)
    forge.write(None, Outcome.FAIL)
    forge.ask(db1=None, db2=False)
    forge.look(db1=None, db2=())
    forge.now += 20
    for _ in range(3):
        forge.ask(db1=None, db2=DB2)
        forge.look(db1=None, db2=("database",))
        forge.write(DB2)
        forge.write(DB2, client="probe")
    return forge


ACTS = (
    "open-incident db1",
    "run-fence-agent db1",
    "prime-standby db2",
    "release-leader db1",
    "readmit db1",
    "close-incident",
)
MUST = ("I5", "I8", "I10")
NODES = ("db1", "db2")


def whole() -> Forge:
    """The primary's host is lost, hactl fences it and gives its key away; with reads, etcd and journal."""
    asked = Asked(limit=10.0, silence=10.0, failovers=(1, 1), acts=ACTS, must=MUST, inside=NODES, sound=NODES,
                  arp=True)  # fmt: skip
    forge = Forge(asked=asked, sound={node: Sound(node, (), {"00000002.history": "ab"}) for node in NODES})
    forge.record(Kind.EVENT, "mark", 1.0)
    forge.keys = {"leader": "db1"}
    forge.key("leader", "db1")
    served(forge, DB1, standby="db2")
    forge.mark("fault", "db1")
    forge.write(DB1, Outcome.INFO, there=True)
    forge.ask(db1=None, db2=False)
    forge.look(db1=None, db2=())
    about: dict[str, Any] = {"incident": "failover-1", "epoch": 1}
    opened = Incident("failover-1", "failover", "db1", "db2", 1)
    data = {"reason": "three of four paths are silent", "incident": incident_object(opened)}
    forge.act("open-incident", said="fence intent, epoch 1", data=data, **about)
    forge.key("fence/db1", json.dumps({"epoch": 1}))
    forge.act("prime-standby", said="db2 refuses 192.0.2.11", data={"standby": "db2"}, epoch=1)
    forge.key("prime/db2", json.dumps({"epoch": 1}))
    forge.act("run-fence-agent", said="fence agent of db1 started", data={"node": "db1"}, epoch=1)
    forge.events.append(Ordered("db1", forge.now, "off"))
    forge.now += 0.98
    said = "leader key deleted at revision 7, on power-off"
    forge.act("release-leader", said=said, data={"intent": {"node": "db1"}}, **about)
    forge.key("leader", "db2")
    forge.write(None, Outcome.FAIL)
    served(forge, DB2, standby="db1", away=True)
    forge.mark("heal", "db1")
    forge.act("readmit", said="fence of db1 removed", data={"node": "db1", "standby": "db2"}, epoch=1)
    forge.key("fence/db1", None)
    forge.key("prime/db2", None)
    forge.act("close-incident", said="redundant again", data={}, incident="failover-1")
    served(forge, DB2, standby="db1")
    return forge


def served(forge: Forge, server: Server, *, standby: str, away: bool = False) -> None:
    """Half a second in which everything works. `away`: the other node is not reached."""
    for _ in range(3):
        forge.write(server)
        forge.write(server, client="probe")
        for node in (server.node, *([] if away else [standby])):
            forge.write(server, client=f"on-{node}", inside=node)
            forge.write(server, client=f"new-{node}", inside=node)
        forge.read(server.node)
        forge.ask(**{server.node: server, standby: None if away else False})
        forge.look(**{server.node: ("database",), standby: None if away else ()})
        forge.answer(server.node)
