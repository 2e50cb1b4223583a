"""What this node knows of itself, in etcd each second or so, and at once when something important changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hactl.agent.looks import Look
from hactl.agent.loop import Told
from hactl.agent.node_looks import Forks
from hactl.agent.ports import Clocks
from hactl.agent.renewal import Me
from hactl.errors import Unreachable
from hactl.ports import EtcdKv, NoSuchLease
from hactl.view.archive import ArchiveFacts
from hactl.view.control import AgentFacts, NewLocal, PeerLook, PostgresLocal
from hactl.view.integrity import IntegrityFacts
from hactl.view.kv import Put
from hactl.view.model import Disk, Probe, State, Unknown
from hactl.view.parse.agent_facts import facts_text

EVERY = 1.0
AT_ONCE = 0.1  # between two that were not due yet
LIVE = 10  # s: what a dead agent said last disappears
KEEP = 3.0
WITHIN = 2.0
LATE = 1.0  # s: a write that takes longer may be stalled; reports come in haste then, to tell so at once
HURRIED = 0.25
STALLED = 3.0  # s: a disk that takes longer for 4 KiB is not slow but stalled
DEAD = 10.0  # s: a look with a deadline of its own that takes so much longer has lost its thread
HANGS = 2.0  # s: what does not answer for so long is unknown


@dataclass(frozen=True)
class Looks:
    """What there is to look at on this node; None: no such thing here. `every`: seconds between reports."""

    units: Look[dict[str, str]]
    disks: Look[tuple[Disk, ...]]
    vips: Look[tuple[str, ...]]
    patroni: Callable[[], Probe] | None = None
    postgres: Look[PostgresLocal] | None = None
    forks: Look[Forks] | None = None
    keepalived: Look[Probe] | None = None
    canary: Look[float] | None = None
    storage: Callable[[], Probe] | None = None
    archive: Callable[[], ArchiveFacts] | None = None
    integrity: Look[IntegrityFacts] | None = None
    peers: Mapping[str, Look[PeerLook]] = field(default_factory=dict)
    ledger: Callable[[], Mapping[str, object]] = dict
    joining: Look[str] | None = None
    certificates: Look[dict[str, int]] | None = None
    spare: Callable[[], str] = str
    every: float = EVERY

    def start(self, stop: threading.Event) -> None:
        single = (
            self.units,
            self.disks,
            self.vips,
            self.postgres,
            self.forks,
            self.keepalived,
            self.canary,
        )
        rest = (self.integrity, self.joining, self.certificates, *self.peers.values())
        every: tuple[Look[Any] | None, ...] = (*single, *rest)
        for look in every:
            if look is not None:
                look.start(stop)


class Loop(Protocol):
    def told(self) -> Told: ...


def gather(me: Me, seq: int, looks: Looks, told: Told, boottime: float) -> AgentFacts:
    """Without waiting: each look's last answer."""
    peers = {name: look.answer(within=HANGS) for name, look in looks.peers.items()}
    vips = looks.vips.answer(within=HANGS)
    units, disks = looks.units.answer(within=10.0), looks.disks.answer(within=HANGS)
    return AgentFacts(
        node=me.node, boot=me.boot, seq=seq, mode=told.mode, lease_left=told.lease_left,
        postgres=_postgres(looks.postgres), forks=_forks(looks.forks),
        patroni=_NONE if looks.patroni is None else looks.patroni(),
        keepalived=_probe(looks.keepalived),
        canary=_canary(looks.canary),
        storage=_NONE if looks.storage is None else looks.storage(),
        archive=None if looks.archive is None else looks.archive(),
        integrity=_integrity(looks.integrity),
        vips=() if isinstance(vips, Unknown) else vips,
        peers={name: p for name, p in peers.items() if not isinstance(p, Unknown)},
        disks=() if isinstance(disks, Unknown) else disks,
        units={} if isinstance(units, Unknown) else units,
        boottime=boottime, thawed=told.thawed, ledger=looks.ledger(),
        joining=_joining(looks.joining), certificates=_certificates(looks.certificates), spare=looks.spare(),
        every=looks.every,
    )  # fmt: skip


_NONE = Probe(State.UNKNOWN, "not on this node")


def _postgres(look: Look[PostgresLocal] | None) -> PostgresLocal | Unknown:
    return Unknown("not on this node") if look is None else look.answer(within=HANGS)


def _forks(look: Look[Forks] | None) -> NewLocal | Unknown:
    """A look that is only late, as on a starved machine, counts as it last was: it is no miss."""
    if look is None:
        return Unknown("not on this node")
    found = look.answer(within=DEAD)
    if isinstance(found, Unknown):
        return found
    return NewLocal(found.misses, None if found.answered is None else look.since(found.answered))


def _integrity(look: Look[IntegrityFacts] | None) -> IntegrityFacts | None:
    found = None if look is None else look.seen().value
    return None if isinstance(found, Unknown) else found


def _joining(look: Look[str] | None) -> str:
    found = "" if look is None else look.seen().value
    return "" if isinstance(found, Unknown) else found


def _certificates(look: Look[dict[str, int]] | None) -> dict[str, int]:
    found: dict[str, int] | Unknown = {} if look is None else look.seen().value
    return {} if isinstance(found, Unknown) else found


def _probe(look: Look[Probe] | None) -> Probe:
    if look is None:
        return _NONE
    waited = look.waited()
    if waited > STALLED:
        return Probe(State.UNKNOWN, f"no answer for {waited:.1f} s")
    found = look.seen().value
    return Probe(State.UNKNOWN, found.why) if isinstance(found, Unknown) else found


def _canary(look: Look[float] | None) -> Probe:
    if look is None:
        return _NONE
    waited, found = look.waited(), look.seen().value
    if waited > STALLED:
        return Probe(State.FAILED, f"4 KiB are not on the disk after {waited:.1f} s")
    if isinstance(found, Unknown):
        return Probe(State.UNKNOWN if found.why.startswith("not looked") else State.FAILED, found.why)
    slow = found > STALLED
    return Probe(State.FAILED if slow else State.OK, f"4 KiB took {found * 1000:.0f} ms")


class Publisher:
    """Its own thread and its own waits: etcd's silence is no reason for anything else to stop."""

    def __init__(self, me: Me, kv: EtcdKv, looks: Looks, loop: Loop, clocks: Clocks) -> None:
        self._me, self._kv, self._looks, self._loop, self._clocks = me, kv, looks, loop, clocks
        self._live = LIVE + round(2 * (looks.every - EVERY))
        self._lease = 0
        self._kept = 0.0
        self._seq = 0
        self._wake = threading.Event()

    def wake(self) -> None:
        self._wake.set()

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stop,), name="facts", daemon=True).start()

    def _run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.once()
            stop.wait(AT_ONCE)
            self._wake.wait(self._pause())
            self._wake.clear()

    def _pause(self) -> float:
        canary = self._looks.canary
        return HURRIED if canary is not None and canary.waited() > LATE else self._looks.every - AT_ONCE

    def once(self) -> bool:
        """Whether etcd has it now."""
        self._seq += 1
        facts = gather(self._me, self._seq, self._looks, self._loop.told(), self._clocks.boottime())
        try:
            self._keep_lease()
            put = Put(self._me.keys.facts(self._me.node), facts_text(facts), self._lease)
            self._kv.txn((), (put,), within=WITHIN, again=True)
        except NoSuchLease:
            self._lease = 0
            return False
        except Unreachable:
            return False
        return True

    def _keep_lease(self) -> None:
        now = self._clocks.monotonic()
        if self._lease == 0:
            self._lease = self._kv.grant(self._live, within=WITHIN)
        elif now - self._kept > KEEP:
            self._kv.keepalive(self._lease, within=WITHIN)
        else:
            return
        self._kept = now
