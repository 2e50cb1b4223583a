"""Puts the agent of one node together and runs it until it is told to stop."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hactl.agent import build_archive, certificates, node_looks, primary
from hactl.agent.clock_back import ClockBack
from hactl.agent.facts import Looks, Publisher
from hactl.agent.hands import Body, Hands
from hactl.agent.holder import Holder
from hactl.agent.lease import Primary
from hactl.agent.looks import Look
from hactl.agent.loop import LeaseLoop, Machine, PlainLoop
from hactl.agent.lost_standby import LostStandby
from hactl.agent.primary import PrimaryLook
from hactl.agent.renewal import Me
from hactl.errors import Unreachable
from hactl.layout import PKI, PORT_PATRONI
from hactl.spec.model import ClusterSpec
from hactl.view.control import PeerLook
from hactl.view.model import Probe, State, Unknown
from hactl.view.pace import report_every
from hactl.wiring_agent import AgentParts, DatabaseParts

INTEGRITY_EVERY = 5.0  # s: three small files
VIP_EVERY = 0.1  # s: one bind(2), and an incident waits to hear of it
TAKE_WITHIN = 10.0  # s: open-lease may be at work, which ends by itself
# A bug in one of these ends the process, and systemd starts it again: half an agent obeys nobody. Others only
# look: what they no longer see is missing in the facts, and the lease goes on.
NEEDED = frozenset({"patroni", "fence", "refuse", "order", "archive", "orthanc"})
PATRONI_UNIT = "patroni.service"


class Relay:
    """Calls what is built later."""

    def __init__(self) -> None:
        self._to: Callable[[], None] = lambda: None

    def to(self, target: Callable[[], None]) -> None:
        self._to = target

    def __call__(self) -> None:
        self._to()


@dataclass(frozen=True)
class Agent:
    loop: LeaseLoop | PlainLoop
    start: Callable[[threading.Event], None]


def build(spec: ClusterSpec, node: str, parts: AgentParts) -> Agent:
    me = Me(node, parts.boot, parts.keys, spec.fencing.lease.value)
    publish = Relay()
    if parts.database is None:
        hands = Hands(
            node, parts.boot, parts.keys, parts.kv, Body(parts.acts, None, None, parts.notes, lambda: None),
            parts.events.say,
        )  # fmt: skip
        plain = PlainLoop(me, parts.kv, hands, parts.clocks, parts.service)
        looks = _looks(parts, publish)
        if parts.archive is None:
            return _agent(me, parts, plain, hands, looks, publish)
        side = build_archive.build(spec.cluster, me, parts, parts.archive, publish)
        integrity = Look("integrity", parts.archive.integrity, INTEGRITY_EVERY, parts.clocks.monotonic)
        looks = replace(
            looks, storage=side.keeper.storage, archive=side.keeper.facts, integrity=integrity,
            every=report_every(len(spec.archives)),
        )  # fmt: skip
        return _both(side.start, _agent(me, parts, plain, hands, looks, publish))
    return _database(me, parts, parts.database, publish)


def _both(first: Callable[[threading.Event], None], agent: Agent) -> Agent:
    def start(stop: threading.Event) -> None:
        first(stop)
        agent.start(stop)

    return Agent(agent.loop, start)


def _database(me: Me, parts: AgentParts, own: DatabaseParts, publish: Relay) -> Agent:
    wake = Relay()
    url = primary.URL.format(port=PORT_PATRONI)
    patroni = PrimaryLook(own.patroni.send, url, parts.clocks, wake)
    holder = Holder(own.table, own.vip, parts.notes, parts.clocks)
    looks = _looks(parts, publish, own, patroni)
    body = Body(parts.acts, own.table, holder, parts.notes, lambda: _state(parts))
    hands = Hands(me.node, me.boot, me.keys, parts.kv, body, parts.events.say)
    machine = Machine(own.table, holder, patroni, parts.notes, parts.clocks, parts.service)
    loop = LeaseLoop(me, parts.kv, machine, hands, parts.events.say)
    loop.on_change(lambda: _look_again(looks, publish))
    wake.to(loop.wake)
    agent = _agent(me, parts, loop, hands, looks, publish)
    standby = LostStandby(
        {name: functools.partial(_last, look) for name, look in looks.peers.items()},
        own.links,
        lambda: (loop.told().lease_left or 0.0) > 0.0,
        parts.clocks.monotonic,
        parts.events.say,
    )

    clock = ClockBack(parts.clocks, parts.acts, parts.events.say)

    def start(stop: threading.Event) -> None:
        parts.notes.not_ready()
        parts.notes.take(within=TAKE_WITHIN)
        patroni.start(stop)
        agent.start(stop)
        standby.start(stop)
        clock.start(stop)

    return Agent(loop, start)


def _last(look: Look[PeerLook]) -> PeerLook | Unknown:
    return look.seen().value


def _look_again(looks: Looks, publish: Relay) -> None:
    """What the loop has just changed is news to everybody."""
    if looks.postgres is not None:
        looks.postgres.hurry()
    publish()


def _state(parts: AgentParts) -> str | None:
    try:
        gone = node_looks.postgres_gone(parts.processes.of(PATRONI_UNIT))
    except Unreachable:
        return None
    return "stopped" if gone else None


def _agent(
    me: Me, parts: AgentParts, loop: LeaseLoop | PlainLoop, hands: Hands, looks: Looks, publish: Relay
) -> Agent:
    publisher = Publisher(me, parts.kv, looks, loop, parts.clocks)
    publish.to(publisher.wake)
    keys = me.keys
    mine = [keys.order(me.node)]
    if isinstance(loop, LeaseLoop):
        mine += [keys.leader, keys.fence(me.node), keys.prime(me.node), keys.switchover]

    def start(stop: threading.Event) -> None:
        hands.start(stop)
        looks.start(stop)
        publisher.start(stop)
        watch = threading.Thread(
            target=parts.kv.watch, args=(mine, loop.wake, stop), name="watch", daemon=True
        )
        watch.start()

    return Agent(loop, start)


def _looks(
    parts: AgentParts,
    publish: Relay,
    own: DatabaseParts | None = None,
    patroni: PrimaryLook | None = None,
) -> Looks:
    now = parts.clocks.monotonic
    keepalived = None
    if parts.vips:
        keepalived = Look(
            "keepalived",
            lambda: node_looks.keepalived_probe(parts.processes.of(node_looks.KEEPALIVED_UNIT)),
            1.0,
            now,
            publish,
        )
    return Looks(
        units=Look("units", parts.units, 2.0, now),
        disks=Look("disks", parts.disks, 5.0, now),
        vips=Look(
            "vips", lambda: tuple(a for a, vip in parts.vips.items() if vip.here()), VIP_EVERY, now, publish
        ),
        patroni=None if patroni is None else (lambda: _patroni_probe(patroni)),
        postgres=None if own is None else Look("postgres", own.postgres.look, 1.0, now),
        forks=None if own is None else _forks(own, now, publish),
        keepalived=keepalived,
        canary=None if own is None else Look("canary", own.canary.write, 1.0, now),
        peers={
            name: Look(
                f"peer-{name}", node_looks.PeerProbe(answers).look, node_looks.PEER_EVERY, now, publish
            )
            for name, answers in (own.peers if own else {}).items()
        },
        ledger=own.ledger if own else dict,
        spare=parts.spare,
        certificates=Look("certificates", certificates.EndingSoon(Path(PKI), now), certificates.EVERY, now),
        joining=None
        if own is None
        else Look("joining", lambda: node_looks.joining(parts.processes.of(PATRONI_UNIT)), 1.0, now),
    )


def _forks(own: DatabaseParts, now: Callable[[], float], publish: Relay) -> Look[node_looks.Forks]:
    probe = node_looks.ForkProbe(own.forks.answered, now)
    return Look("forks", probe.look, node_looks.FORKS_EVERY, now, publish)


def _patroni_probe(patroni: PrimaryLook) -> Probe:
    """Alive: it answers, whatever it says."""
    silent = patroni.primary() is Primary.SILENT
    return Probe(State.FAILED if silent else State.OK, patroni.why)


def run(agent: Agent, say: Callable[..., None]) -> None:
    """Until SIGTERM or SIGINT. What holds is left: the lease ends by itself, or open-lease opens it."""
    stop = threading.Event()

    def end(_number: int, _frame: object) -> None:
        stop.set()
        agent.loop.wake()

    def died(how: threading.ExceptHookArgs) -> None:
        name = how.thread.name if how.thread else "?"
        say("a thread died", thread=name, why=f"{how.exc_type.__name__}: {how.exc_value}")
        if name in NEEDED:
            os._exit(1)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    threading.excepthook = died
    agent.start(stop)
    agent.loop.run(stop)
