"""The operator's seat before an installation from memory: every command that changes something, as typed.

    seat = Seat(monkeypatch, tmp_path)
    seat.call("pause", "--reason", "x", "--yes")
    seat.press_at(7)        # Ctrl-C at the 7th call of a port; `after`: when that call was made

etcd is in memory, agents obey what stands there, and looks show what is there. Every call of etcd, each look,
Patroni, checkpoint, commit and deployment counts as a call of a port.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import hactl.wiring
from hactl.act import node_recover
from hactl.act.maintenance import Operator
from hactl.act.node_recover import Progress
from hactl.act.switchover import Means
from hactl.cli import archive_restart, etcd, node_fence, node_restart, node_stop, switchover, switchover_pools
from hactl.cli import node_recover as recover
from hactl.cli import operator as by_hand
from hactl.cli.app import main
from hactl.view.archive import ArchiveFacts
from hactl.view.cluster import ClusterView
from hactl.view.journal import Record, parse_record
from hactl.view.keys import Keys
from hactl.view.model import EtcdAlarm, Probe, State, Unknown
from hactl.view.parse.agent_facts import facts_text
from hactl.view.parse.control import parse_look
from tests.support import config_world
from tests.support.keysview import WELL
from tests.support.nodes import keys_of, with_keys, world
from tests.support.views import Change, after, host_lost, patroni_says, primary, standby
from tests.support.views import agent as reported

KEYS = Keys("demo")
CONTROL = frozenset(
    {"maintenance", "drains", "fences", "fenced", "orders", "done", "paused", "pause", "scheduled", "epoch"}
)
BROKEN = patroni_says("db2", standby("db2", state="starting", replication_state=""))
SILENT = Unknown("etcd gives no answer: no answer in time")


@dataclass(frozen=True)
class Command:
    """`before`: commands that make the state it starts from; `sees`: what the looks show besides."""

    words: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    sees: tuple[Change, ...] = ()

    @property
    def name(self) -> str:
        return " ".join(w for w in self.words if w not in {*WHY, "--yes", "--force"})


WHY = ("--reason", "new disk")
PAUSED, STOPPED = ("pause", *WHY, "--yes"), ("node", "stop", "db2", *WHY, "--yes")
MAINTAINED, FENCED = (
    ("node", "maintenance", "db2", "on", *WHY, "--yes"),
    ("node", "fence", "db2", *WHY, "--yes"),
)
DRAINED = ("archive", "drain", "arc1", *WHY, "--yes")
MUTED = ("mute", "STANDBY_LOST", *WHY, "--yes")
SCHEDULED = ("switchover", "--at", "+2h", *WHY, "--yes")
EDITED = ("config", "edit", "--set", "work_mem=64MB", *WHY, "--yes")

COMMANDS = (
    Command(("switchover", *WHY, "--yes")),
    Command(SCHEDULED),
    Command(("switchover", "--cancel", *WHY, "--yes"), (SCHEDULED,)),
    Command(PAUSED),
    Command(("resume", *WHY, "--yes"), (PAUSED,)),
    Command(MUTED),
    Command(("unmute", "STANDBY_LOST", *WHY, "--yes"), (MUTED,)),
    Command(("node", "restart", "db2", *WHY, "--yes")),
    Command(("node", "restart", "--all", *WHY, "--yes")),
    Command(STOPPED),
    Command(("node", "stop", "arc1", *WHY, "--yes")),
    Command(("node", "start", "db2", *WHY, "--yes"), (STOPPED,)),
    Command(MAINTAINED),
    Command(("node", "maintenance", "db2", "off", *WHY, "--yes"), (MAINTAINED,)),
    Command(("node", "rejoin", "db2", *WHY, "--yes"), sees=(BROKEN,)),
    Command(("node", "reinit", "db2", *WHY, "--force", "--yes")),
    Command(FENCED),
    Command(("node", "unfence", "db2", *WHY, "--yes"), (FENCED,)),
    Command(DRAINED),
    Command(("archive", "undrain", "arc1", *WHY, "--yes"), (DRAINED,)),
    Command(("archive", "restart", "arc1", *WHY, "--yes")),
    Command(EDITED),
    Command(("config", "rollback", "1", *WHY, "--yes"), (EDITED,)),
    Command(("etcd", "mend", *WHY, "--yes")),
)  # fmt: skip


class Counted:
    """A port whose every call counts, and may be where Ctrl-C is pressed."""

    def __init__(self, seat: Seat, port: Any) -> None:
        self._seat, self._port = seat, port

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._port, name)

        def counted(*args: Any, **named: Any) -> Any:
            with self._seat.counted(name):
                return call(*args, **named)

        return counted


class Care:
    """etcd's maintenance calls on top of the counted client; who is told to defragment is told."""

    def __init__(self, seat: Seat, kv: Any) -> None:
        self._seat, self._kv = seat, kv

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kv, name)

    def alarms(self, *, within: float) -> tuple[EtcdAlarm, ...]:
        del within
        return ()

    def compact(self, revision: int, *, within: float) -> None:
        del revision, within
        with self._seat.counted("compact"):
            self._seat.told.append("etcd: compact")

    def defragment(self, node: str, *, within: float) -> None:
        del within
        with self._seat.counted("defragment"):
            self._seat.told.append(f"etcd: defragment {node}")


class Seat:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        self.site = config_world.world(tmp_path, monkeypatch)
        self.etcd, self.clock = self.site.etcd, self.site.etcd.clock
        self.etcd.put(KEYS.leader, "db1", self.etcd.grant(3600))
        self.sees: tuple[Change, ...] = ()
        self.leads = "db1"
        self.calls, self._press, self._after, self.pressed = 0, 0, False, ""
        self.told: list[str] = []
        self.made: list[str] = []  # the calls of ports, by name
        kv = Counted(self, self.etcd.client())
        self.operator = Operator(kv, KEYS, self, "operator anna", "desk")  # type: ignore[arg-type]
        self._patch(monkeypatch, kv)

    def _patch(self, monkeypatch: pytest.MonkeyPatch, kv: Any) -> None:
        for name in ("db1", "db2", "wit1", "arc1", "arc2"):
            self.etcd.put(KEYS.facts(name), facts_text(self.facts(name)))
        kv.close = lambda: None
        well, answers = (lambda *_: True), (lambda *_: Probe(State.OK))
        for place, name, stands_in in (
            (hactl.wiring, "etcd_kv", lambda *_: kv), (by_hand, "operator", lambda _: self.operator),
            (by_hand, "look", lambda *_: self.look()), (switchover, "means_of", lambda *_: self.means()),
            (switchover, "password", lambda _: "secret"), (switchover, "_ask", lambda *_: []),
            (switchover, "_redundant", well), (switchover_pools, "index", answers),
            (node_restart, "_postgres", self.restarted),
            (node_stop, "well", well), (node_stop, "_give_lead", lambda *_: None),
            (node_fence, "device_of", lambda *_: None), (archive_restart, "reaches_its_index", well),
            (node_restart, "_etcd", lambda _, who, node: node_restart._unit(who, node, "etcd.service")),
            (recover, "_progress", lambda *_: self.progress()), (recover, "_copied", lambda _: ""),
            (etcd, "caring", lambda _: contextlib.nullcontext(Care(self, kv))), (node_recover, "POLL", 0.0),
        ):  # fmt: skip
            monkeypatch.setattr(place, name, stands_in)
        monkeypatch.setattr("time.sleep", lambda _: None)

    # Ctrl-C

    def press_at(self, call: int, *, after: bool = False) -> None:
        self.calls, self._press, self._after, self.pressed = 0, call, after, ""

    @contextlib.contextmanager
    def counted(self, name: str) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():  # what keeps the lock alive
            yield
            return
        self.calls += 1
        self.made.append(name)
        here = self.calls == self._press
        if here:
            self.pressed = name
        if here and not self._after:
            raise KeyboardInterrupt
        yield
        if here and self._after:
            raise KeyboardInterrupt

    # The clock, by which agents do their work

    def wall(self) -> float:
        return self.clock.wall()  # type: ignore[attr-defined, no-any-return]

    def monotonic(self) -> float:
        self.clock.forward(0.2)  # type: ignore[attr-defined]
        held = self.etcd.pairs.get(KEYS.operation)
        if held is not None and held.lease in self.etcd.leases:  # its thread keeps it alive by another clock
            self.etcd.client().keepalive(held.lease, within=1)
        self._agents()
        return self.clock()

    def _agents(self) -> None:
        for name in ("db1", "db2", "wit1", "arc1", "arc2"):
            if name in self.dead:
                continue
            order = self.etcd.value(KEYS.order(name))
            if order and self.etcd.value(KEYS.done(name)) is None:
                found = json.loads(order)
                self.told.append(f"{name}: {found['verb']} {found.get('unit', '')}".strip())
                self.etcd.put(KEYS.done(name), json.dumps({"id": found["id"], "ok": True, "said": "done"}))
            fence = self.etcd.value(KEYS.fence(name))
            if fence and self.etcd.value(KEYS.fenced(name)) is None:
                word = {"epoch": json.loads(fence)["epoch"], "postgres": "stopped", "boot": "b"}
                self.etcd.put(KEYS.fenced(name), json.dumps(word))
            self.etcd.put(KEYS.facts(name), facts_text(self.facts(name)))

    dead: frozenset[str] = frozenset()

    def facts(self, name: str) -> Any:
        if not name.startswith("arc"):
            return reported(name)
        out = self.etcd.value(KEYS.archive_drain(name)) is not None
        archive = ArchiveFacts(room=WELL, write=WELL, out=out)
        return reported(name, storage=WELL, archive=archive, vips=())

    # What the commands see and ask

    def look(self) -> ClusterView:
        with self.counted("look"):
            if not self.etcd.quorum():
                return dataclasses.replace(after(*self._roles(), *self.sees), control=SILENT)
            reply = self.etcd.client().ranges(KEYS.look(), within=1)
            real = parse_look(KEYS, reply)
            fields = {f.name for f in dataclasses.fields(real)} & CONTROL
            dcs = dataclasses.replace(keys_of(), **{name: getattr(real, name) for name in fields})
            leader = dataclasses.replace(dcs.patroni, leader=real.patroni.leader)
            if not self.active:
                dcs = dataclasses.replace(dcs, active=None, standing_by=())
            lost = {n: f for n, f in dcs.facts.items() if n not in self.dead}
            return world(
                *self._roles(), with_keys(dataclasses.replace(dcs, patroni=leader, facts=lost)),
                *(host_lost(n) for n in self.dead), *self.sees,
            )  # fmt: skip

    active = True

    def _roles(self) -> tuple[Change, ...]:
        if self.leads == "db1":
            return ()
        return (patroni_says("db1", standby("db1")), patroni_says("db2", primary("db2")))

    def means(self) -> Means:
        def ask() -> None:
            with self.counted("patroni"):
                self.told.append("patroni: switch over")
                self.leads = "db2"

        def commit() -> str:
            self.clock.forward(0.01)  # type: ignore[attr-defined]
            return self.leads

        def checkpoint() -> None:
            with self.counted("checkpoint"):
                pass

        return Means(checkpoint, ask, commit, _Ticks(self), lambda _: None)

    def restarted(self, _: Any, step: Any) -> None:
        with self.counted("patroni"):
            self.told.append(f"patroni: restart {step.node}")

    def progress(self) -> Progress:
        starts = sum(word.startswith("db2: re") for word in self.told)
        return Progress("running", str(starts), streams=True)

    # Typed

    def call(self, *words: str) -> int:
        with pytest.raises(SystemExit) as caught:
            main(["--spec", str(self.site.source), *words])
        return int(caught.value.code or 0)

    def ready(self, command: Command) -> None:
        """In the state that a command starts from."""
        for words in command.before:
            assert self.call(*words) == 0, words
        self.sees, self.told = command.sees, []

    # What came of it

    def journal(self) -> list[Record]:
        found = self.etcd.keys()
        ours = [key for key in found if key.startswith(KEYS.journal_prefix)]
        return [parse_record(self.etcd.value(key) or "") for key in ours]

    def state(self) -> Mapping[str, str]:
        """All keys that mean something: without the journal, facts, and what ends by itself within 75 s."""
        passing = tuple(of("") for of in (KEYS.order, KEYS.done, KEYS.facts, KEYS.fenced))
        own = (KEYS.journal_prefix, KEYS.leader, KEYS.operation, KEYS.last_operation)
        found = self.etcd.keys()
        return {key: self.etcd.value(key) or "" for key in found if not key.startswith((*passing, *own))}


class _Ticks:
    """The seat's clock for whoever measures an outage: it moves a little with each look."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def wall(self) -> float:
        return self._seat.wall()

    def monotonic(self) -> float:
        self._seat.clock.forward(0.001)  # type: ignore[attr-defined]
        return self._seat.clock()
