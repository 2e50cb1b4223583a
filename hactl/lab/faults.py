"""Faults on purpose: each is injected on entry and healed on exit, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hactl.errors import UsageError
from hactl.lab import (
    faults_clock,
    faults_disk,
    faults_etcd,
    faults_network,
    faults_page,
    faults_postgres,
    faults_process,
    faults_storage,
)
from hactl.lab.faults_process import PROGRAMS
from hactl.lab.lab import Lab

Act = Callable[[Lab, str], None]
ActWith = Callable[[Lab, str, str], None]


@dataclass(frozen=True)
class Fault:
    """`heal` is None for what mends itself or is itself a mending."""

    inject: Act
    heal: Act | None


@dataclass(frozen=True)
class FaultWith:
    """A fault that needs one word more: `word` says what it is, `usual` what it is if it is not said."""

    word: str
    inject: ActWith
    heal: ActWith
    usual: str = ""

    def of(self, word: str) -> Fault:
        return Fault(
            lambda lab, node: self.inject(lab, node, word), lambda lab, node: self.heal(lab, node, word)
        )


def _of_program(act: ActWith, unit: str) -> Act:
    return lambda lab, node: act(lab, node, unit)


def _of_programs() -> Iterator[tuple[str, Fault]]:
    """Of each program: killed, killed for good, frozen."""
    for program, unit in PROGRAMS.items():
        heal = _of_program(faults_process.thaw, unit)
        yield f"kill-{program}", Fault(_of_program(faults_process.kill, unit), None)
        yield f"lose-{program}", Fault(_of_program(faults_process.lose, unit), heal)
        yield f"freeze-{program}", Fault(_of_program(faults_process.freeze, unit), heal)


FAULTS: Final[dict[str, Fault]] = {
    "power-off": Fault(Lab.power_off, Lab.power_on),  # cut the power
    "power-on": Fault(Lab.power_on, None),  # switch on, wait until it can be logged into
    "isolate": Fault(Lab.isolate, Lab.join),  # pull its cables out of the switch; its BMC keeps its own
    "join": Fault(Lab.join, None),  # plug them in again
    "freeze": Fault(Lab.freeze, Lab.thaw),  # stop every process, as a hung hypervisor does
    "thaw": Fault(Lab.thaw, None),  # let them go on
    "crash-postgres": Fault(Lab.crash_postgres, None),  # kill the postmaster
    "stall-disk": Fault(faults_disk.stall, faults_disk.release),  # PostgreSQL's: what is written waits
    "stall-etcd-disk": Fault(faults_disk.stall_etcd, faults_disk.release_etcd),
    "unmount-storage": Fault(faults_storage.unmount, faults_storage.mount),
    "swap-storage": Fault(faults_storage.swap, faults_storage.mount),  # our marker, none of our images
    "readonly-storage": Fault(faults_storage.read_only, faults_storage.writable),  # for this node only
    "freeze-postgres": Fault(faults_process.freeze_postgres, faults_process.thaw_postgres),
    "freeze-pool": Fault(faults_process.freeze_pool, faults_process.thaw_pool),  # of an archive node
    "hang-postgres": Fault(faults_postgres.hang, faults_postgres.thaw),  # the postmaster and all its children
    "bar-postgres": Fault(faults_postgres.bar, faults_postgres.unbar),  # killed, and it cannot start
    "damage-wal": Fault(faults_postgres.damage_wal, None),  # of a standby; both are mended by hactl
    "damage-control": Fault(faults_postgres.damage_control, None),
    "own-page": Fault(faults_page.make, faults_page.mend),  # of an index that nobody needs
    "damage-page": Fault(faults_page.damage, faults_page.mend),  # that one
    "break-rewind": Fault(faults_postgres.break_rewind, None),  # once; `heal` does away with what is left
    "make-stale": Fault(faults_postgres.make_stale, faults_postgres.end_stale),  # back alone
    "cut-etcd": Fault(faults_network.cut_etcd, faults_network.join_etcd),
    "lead-etcd": Fault(faults_etcd.lead, None),
    "freeze-quorum": Fault(faults_etcd.freeze_others, faults_etcd.thaw_others),
    "freeze-bmc": Fault(faults_etcd.freeze_bmc, faults_etcd.thaw_bmc),
    "dud-bmc": Fault(faults_etcd.dud_bmc, faults_etcd.work_bmc),
    "deaf": Fault(faults_network.deafen, faults_network.hear),
    "voiceless": Fault(faults_network.silence, faults_network.speak),
    "lose-garp": Fault(faults_network.lose_announcements, faults_network.hear_announcements),
    "own-clock": Fault(faults_clock.own, faults_clock.forget),  # nothing is turned yet
    "lose-names": Fault(faults_process.lose_names, faults_process.find_names),
    **dict(_of_programs()),
    "stop-hactl": Fault(
        faults_process.stop_hactl, faults_process.start_hactl
    ),  # Patroni and keepalived alone
}
FAULTS_WITH: Final[dict[str, FaultWith]] = {
    "cut": FaultWith("the other node", faults_network.cut, faults_network.join),
    "one-way": FaultWith("the node that is not reached", faults_network.one_way, faults_network.both_ways),
    "loss": FaultWith("percent", faults_network.lose, faults_network.keep),
    "turn-clock": FaultWith("seconds", faults_clock.turn, faults_clock.right, faults_clock.USUAL),
    "narrow": FaultWith("kbit/s", faults_network.narrow, faults_network.widen),
    "fill-disk": FaultWith("percent in use", faults_disk.fill, faults_disk.empty, faults_disk.FULL),
    "fill-storage": FaultWith(  # for all archive nodes: they share it
        "percent in use", faults_storage.fill, faults_storage.empty, faults_disk.FULL
    ),
}


def fault(kind: str, word: str = "") -> Fault:
    """Raises UsageError for a kind that there is not, or without the word it needs."""
    if needing := FAULTS_WITH.get(kind):
        if not (word or needing.usual):
            raise UsageError(f"{kind} needs one word more: {needing.word}")
        return needing.of(word or needing.usual)
    if kind not in FAULTS:
        raise UsageError(f"no fault {kind!r}", hint=f"one of: {', '.join([*FAULTS, *FAULTS_WITH])}")
    if word:
        raise UsageError(f"{kind} takes a node only, not {word!r}")
    return FAULTS[kind]


@contextmanager
def injected(lab: Lab, kind: str, node: str, word: str = "") -> Iterator[None]:
    """The fault lasts as long as the block, also when the block ends by an error or by Ctrl-C."""
    chosen = fault(kind, word)
    try:
        chosen.inject(lab, node)
        yield
    finally:
        if chosen.heal:
            chosen.heal(lab, node)


def heal(lab: Lab) -> list[str]:
    """Undo every fault of a lab. What was done to machines and cables, as sentences."""
    undone = [f"{name} undone" for name in faults_network.heal(lab)]
    faults_etcd.heal(lab)
    stalled = faults_disk.release_all(lab)  # before anything is asked of a machine that may wait for its disk
    done = undone + stalled + lab.heal() + faults_disk.empty_all(lab)
    faults_storage.heal(lab)
    faults_postgres.heal(lab)
    faults_clock.heal(lab)
    faults_process.heal(lab)
    return done + faults_page.heal(lab)  # asks PostgreSQL, which has to go on first
