"""All loops of a controller for one spec: started together, stopped together."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from hactl.act.hands import Hands
from hactl.act.hour import HourLeases
from hactl.adapters.events import EventLog
from hactl.controller.archive import ArchiveLoop
from hactl.controller.archive_keys import ArchiveKeys
from hactl.controller.archive_probes import Prober
from hactl.controller.beat import Beats
from hactl.controller.election import Election
from hactl.controller.fast import FastLoop
from hactl.controller.fences import FenceRuns
from hactl.controller.haste import Haste
from hactl.controller.journal import EtcdJournal
from hactl.controller.journal_copy import Replica
from hactl.controller.mirror import Mirror, Signs
from hactl.controller.probes import Probe
from hactl.controller.samples import Samples
from hactl.controller.tick import Surroundings, Tick
from hactl.errors import HactlError
from hactl.metrics.instruments import Instruments
from hactl.metrics.snapshot import Board
from hactl.metrics.tally import Tally
from hactl.ports import Clock
from hactl.spec.model import ClusterSpec
from hactl.view.keys import Keys
from hactl.view.pace import MANY
from hactl.wiring_controller import ControllerPorts

LOOK: Final = 0.25
LOOK_STANDING_BY: Final = 0.5
FOLLOW: Final = 1.0
PROBE: Final = 0.2
PROBE_STANDING_BY: Final = 1.0
CLOSE: Final = 10.0  # longer than any question to an archive node


@dataclass(frozen=True)
class Common:
    """What lives as long as the process, and longer than one spec."""

    me: str
    keys: Keys
    clock: Clock
    election: Election
    board: Board
    instruments: Instruments
    log: EventLog
    tally: Tally = field(default_factory=Tally)


class Engine:
    """One spec's loops. After `stop` it is of no more use; a new one goes on from what etcd holds."""

    def __init__(
        self,
        spec: ClusterSpec,
        ports: ControllerPorts,
        journal: EtcdJournal,
        copy: Replica,
        common: Common,
    ) -> None:
        self._ports, self._common, self._journal, self._copy = ports, common, journal, copy
        self._stop, self._stopping = threading.Event(), threading.Event()
        self._threads: list[threading.Thread] = []
        self.samples = samples = Samples()
        self._fences = FenceRuns(ports.devices, common.clock, samples)
        self._archive_keys = self._apart(spec)
        self._mirror = Mirror(
            ports.kv,
            common.keys,
            common.clock,
            Signs(samples, spec.databases),
            common.log,
            self._archive_keys,
        )
        hands = self._hands(spec)
        self._fast = FastLoop(
            spec,
            samples,
            self._mirror,
            hands,
            common.clock,
            common.log,
            common.instruments,
            self._fences.prepare,
            journal.begin,
        )
        measure = common.instruments.archive
        self._prober = Prober(ports.archives, common.clock, measure, self.holding)
        self._archive = ArchiveLoop(
            spec, samples, self._prober, hands, common.clock, common.log, common.instruments,
            can=ports.around.can, again=self._look_again,
        )  # fmt: skip
        self._around = Surroundings(ports.around, samples, common.clock, tuple(spec.archives))
        self._tick = Tick(
            spec,
            samples,
            self._around,
            hands,
            common.clock,
            common.log,
            common.instruments,
            common.board,
            totals=common.tally.read,
            archives=self._archive.seen,
        )
        self._haste = Haste(samples, common.clock)

    def _apart(self, spec: ClusterSpec) -> ArchiveKeys | None:
        """Few archive nodes' keys are part of each look."""
        if len(spec.archive_addresses) <= MANY:
            return None
        common = self._common
        return ArchiveKeys(self._ports.kv, common.keys, spec.voters, common.clock, common.log)

    def _hands(self, spec: ClusterSpec) -> Hands:
        common = self._common
        return Hands(
            me=common.me, kv=self._ports.kv, keys=common.keys, journal=self._journal, clock=common.clock,
            claim=common.election.claim, fences=self._fences,
            yield_control=common.election.yield_control, new_id=lambda: secrets.token_hex(8),
            addresses={str(n.address): name for name, n in spec.nodes.items()},
            hours=HourLeases(self._ports.kv, common.clock), stopping=self._stopping.is_set,
        )  # fmt: skip

    def start(self) -> None:
        stop, common = self._stop, self._common
        beat = common.board.beat
        self._spawn("look", lambda: self._mirror.run(self._pace(LOOK, LOOK_STANDING_BY), stop,
                                                     lambda: beat("look")))  # fmt: skip
        self._spawn("watch", self._watch)
        self._spawn("journal", self._follow)
        self._spawn("fast", lambda: self._fast.run(stop, lambda: beat("fast")))
        self._spawn("view", lambda: self._around.run(self.holding, stop, lambda: beat("view")))
        self._spawn("tick", lambda: self._tick.run(stop, lambda: beat("tick")))
        self._prober.start(stop)
        if keys := self._archive_keys:
            self._spawn("archive keys", lambda: keys.run(self.holding, stop))
        self._spawn("archive", lambda: self._archive.run(stop, lambda: beat("archive")))
        beats = Beats(self._ports.heart, self.samples, common.clock, common.instruments)
        self._spawn("heartbeat", lambda: beats.run(self.holding, self._haste, stop))
        pace = self._pace(PROBE, PROBE_STANDING_BY)
        for (node, path), question in self._ports.questions.items():
            probe = Probe(node, path, question, self.samples, common.clock, common.instruments)
            self._spawn(f"{path} {node}", lambda probe=probe: probe.run(pace, stop))  # type: ignore[misc]

    def stop(self, within: float) -> bool:
        """The step in hand is finished, no other one begun. Whether the loops that act ended in time."""
        self._stopping.set()
        self._stop.set()
        self.samples.changed.set()
        self._mirror.wanted.set()
        self._journal.written.set()
        deadline = self._common.clock.monotonic() + within
        acting = [t for t in self._threads if t.name in {"fast", "tick", "archive"}]
        for thread in acting:
            thread.join(max(0.0, deadline - self._common.clock.monotonic()))
        self._fences.call_all_off()
        # In a thread of its own: who reads the spec again must not wait for an archive that hangs.
        threading.Thread(target=self._prober.close, args=(CLOSE,), name="archive end", daemon=True).start()
        return not any(t.is_alive() for t in acting)

    def _look_again(self) -> bool:
        """All of it as it is now, for whoever is about to act on an archive node; False: not known."""
        if self._archive_keys is None:
            return True  # each look has everything
        known = self._archive_keys.all()
        self._mirror.look()
        return known

    def holding(self) -> bool:
        return self._common.election.claim() is not None

    def _follow(self) -> None:
        """Copy the journal to this node's file; at once what this process has written."""
        log, written = self._common.log, self._journal.written
        while not self._stop.is_set():
            written.clear()
            try:
                self._copy.follow_once()
                log.changed("copy", "", "the journal's copy follows")
            except HactlError as error:
                log.changed("copy", error.message, "the journal's copy does not follow", why=error.message)
            written.wait(FOLLOW)

    def _pace(self, active: float, standing_by: float) -> Callable[[], float]:
        return lambda: active if self.holding() else standing_by

    def _watch(self) -> None:
        """Only what somebody waits for: a hint for each renewal would be too many looks."""
        keys = self._common.keys
        prefixes = (keys.own + "fenced/", keys.own + "primed/", keys.controller, keys.paused, keys.leader)
        self._ports.kv.watch(prefixes, self._mirror.wanted.set, self._stop)

    def _spawn(self, name: str, act: Callable[[], None]) -> None:
        thread = threading.Thread(target=act, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()
