"""Forged histories: a small model of a pair that fails over, as clients and watchers would see it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hactl.drill.checker import Row
from hactl.drill.history import Claim, Event, Glance, Look, Mark, Outcome, Server, Write

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

    def write(
        self,
        server: Server | None,
        outcome: Outcome = Outcome.OK,
        *,
        client: str = "w1",
        there: bool | None = None,
    ) -> Write:
        """One write of 20 ms. `there`: whether its row stands (default: exactly when acknowledged)."""
        seq = self.seqs[client] = self.seqs.get(client, 0) + 1
        sent = None if outcome is Outcome.FAIL else self.now + 0.01
        write = Write(client, seq, self.now, sent, self.now + 0.02, outcome, server, fresh=client == "probe")
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

    def ask(self, **said: Server | bool | None) -> None:
        """What database nodes say: the server (writable), False (in recovery), None (nothing)."""
        for node, answer in said.items():
            server = answer if isinstance(answer, Server) else None
            writable = answer if answer is None else server is not None
            self.events.append(Claim(node, self.now, self.now + 0.002, writable, server))

    def mark(self, what: str, node: str, lasting: float = 0.1) -> None:
        self.events.append(Mark(self.now, self.now + lasting, what, node))
        self.now += lasting

    @property
    def tables(self) -> dict[str, list[Row]]:
        return {"db1": list(self.rows), "db2": list(self.rows)}

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
