"""An etcd of three voters in a simulated world: linearizable while a majority is connected, else silent.

Losing its leader costs an election, and an election starts every lease's time anew, as the real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

VOTERS = ("db1", "db2", "wit1")
ELECTION = 1.2


@dataclass(frozen=True)
class Entry:
    value: Any
    mod: int
    lease: int = 0


@dataclass
class Lease:
    ttl: float
    ends: float


@dataclass
class SimEtcd:
    """`up` says of a node whether it runs, `talk` of two nodes whether both ways between them are open."""

    up: Callable[[str], bool]
    talk: Callable[[str, str], bool]
    leader: str = "wit1"
    revision: int = 10
    keys: dict[str, Entry] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    electing: float | None = None
    _next_lease: int = 1

    def tick(self, now: float) -> None:
        quorum = self._majority(self.leader)
        if quorum:
            self.electing = None
            self._expire(now)
            return
        if self.electing is None:
            self.electing = now
        if now - self.electing < ELECTION:
            return
        chosen = next((v for v in reversed(VOTERS) if self._majority(v)), None)
        if chosen is not None:
            self.leader, self.electing = chosen, None
            for lease in self.leases.values():
                lease.ends = now + lease.ttl

    def _majority(self, leader: str) -> set[str]:
        with_it = {v for v in VOTERS if self.up(v) and (v == leader or self.talk(leader, v))}
        return with_it if self.up(leader) and len(with_it) >= 2 else set()

    def _expire(self, now: float) -> None:
        for lease, state in list(self.leases.items()):
            if now >= state.ends:
                self.revoke(lease)

    def answers(self, client: str) -> bool:
        """Whether a process on this node gets a linearizable answer now."""
        members = self._majority(self.leader) if self.electing is None else set()
        return self.up(client) and any(client == m or self.talk(client, m) for m in members)

    def move(self, to: str) -> None:
        if self._majority(to):
            self.leader = to

    def grant(self, ttl: float, now: float) -> int:
        self._next_lease += 1
        self.leases[self._next_lease] = Lease(ttl, now + ttl)
        return self._next_lease

    def keep(self, lease: int, now: float) -> bool:
        if lease not in self.leases:
            return False
        self.leases[lease].ends = now + self.leases[lease].ttl
        return True

    def revoke(self, lease: int) -> None:
        self.leases.pop(lease, None)
        gone = [k for k, e in self.keys.items() if e.lease == lease]
        if gone:
            self.revision += 1
        for key in gone:
            del self.keys[key]

    def get(self, key: str) -> Any:
        found = self.keys.get(key)
        return None if found is None else found.value

    def below(self, prefix: str) -> dict[str, Any]:
        return {k.removeprefix(prefix): e.value for k, e in self.keys.items() if k.startswith(prefix)}

    def put(self, key: str, value: Any, lease: int = 0) -> None:
        self.txn((), {key: value}, lease=lease)

    def txn(
        self,
        compares: Iterable[bool],
        puts: Mapping[str, Any] | None = None,
        deletes: Iterable[str] = (),
        lease: int = 0,
    ) -> bool:
        """All or nothing. The caller evaluated the compares in the same moment: nothing lies between."""
        if not all(compares):
            return False
        self.revision += 1
        for key in deletes:
            self.keys.pop(key, None)
        for key, value in (puts or {}).items():
            self.keys[key] = Entry(value, self.revision, lease)
        return True
