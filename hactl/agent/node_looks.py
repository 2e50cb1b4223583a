"""The looks of one node, by what it is: adapters in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from hactl.errors import Unreachable
from hactl.view.control import PeerLook
from hactl.view.model import Probe, State

PEER_EVERY = PEER_WITHIN = 0.2
FORKS_EVERY = FORKS_WITHIN = 0.5
ENOUGH = 8  # misses are counted up to here: more say nothing new


class Process(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...


class UnitProcesses(Protocol):
    @property
    def processes(self) -> Sequence[Process]: ...

    @property
    def frozen(self) -> bool: ...


KEEPALIVED_UNIT: Final = "keepalived.service"


def keepalived_probe(found: UnitProcesses) -> Probe:
    """A stopped one still holds its address, but moves nothing any more."""
    if not found.processes:
        return Probe(State.FAILED, "keepalived does not run")
    stopped = [p for p in found.processes if p.state in "Tt"]
    if found.frozen or stopped:
        return Probe(State.FAILED, "keepalived is frozen")
    return Probe(State.OK)


def postgres_gone(found: UnitProcesses) -> bool:
    """Whether no process of PostgreSQL is left; one that cannot die yet (state D) is one."""
    return not any(p.name.startswith("postgres") for p in found.processes)


# What Patroni runs before a node can follow again, hactl's own programs among them (templates/postgres).
_JOINING = frozenset({"pg_rewind", "pg-rewind", "pg_basebackup", "clone", "ledger"})


def joining(found: UnitProcesses) -> str:
    """Of Patroni's processes the one that makes this node a standby again; empty: none."""
    return next((p.name for p in found.processes if p.name in _JOINING), "")


class PeerProbe:
    """How often in a row the other database node's PostgreSQL has not answered a new connection."""

    def __init__(self, answers: Callable[..., Probe]) -> None:
        self._answers = answers
        self._misses = 0

    def look(self) -> PeerLook:
        found = self._answers(within=PEER_WITHIN)
        self._misses = 0 if found.ok else min(self._misses + 1, ENOUGH)
        return PeerLook(self._misses, found.why)


@dataclass(frozen=True)
class Forks:
    """`answered`: when this node's PostgreSQL last answered a new connection (monotonic). It is no news."""

    misses: int
    answered: float | None = field(default=None, compare=False)


class ForkProbe:
    """How often in a row this node's own PostgreSQL has answered no new connection."""

    def __init__(self, answered: Callable[..., bool], monotonic: Callable[[], float]) -> None:
        self._answered, self._now = answered, monotonic
        self._misses = 0
        self._last: float | None = None

    def look(self) -> Forks:
        """Raises Unreachable: it could not be looked at. That ends the row."""
        try:
            answered = self._answered(within=FORKS_WITHIN)
        except Unreachable:
            self._misses = 0
            raise
        self._misses = 0 if answered else min(self._misses + 1, ENOUGH)
        self._last = self._now() if answered else self._last
        return Forks(self._misses, self._last)
