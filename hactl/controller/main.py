"""Starts a controller on a node: one process of it a node, its journal, its exporter, its loops."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hactl import layout
from hactl.adapters.clock import SystemClock
from hactl.adapters.events import EventLog
from hactl.adapters.journal_file import JournalFile
from hactl.adapters.open_files import allow_open_files
from hactl.adapters.own_node import boot_id, own_node
from hactl.adapters.systemd_notify import SystemdNotify
from hactl.controller.election import Candidate, Election
from hactl.controller.engine import Common
from hactl.controller.journal import EtcdJournal, Writer
from hactl.controller.journal_copy import Replica
from hactl.controller.run import LIMITS, Controller, Means, Signals, own_value
from hactl.errors import LockHeld, Refused, StepFailed
from hactl.metrics.certificates import NodeCertificates
from hactl.metrics.exporter import Exporter
from hactl.metrics.instruments import Instruments
from hactl.metrics.server import Listener
from hactl.metrics.snapshot import Board
from hactl.metrics.tally import Tally
from hactl.metrics.tls import ServerTls
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.view.journal import records
from hactl.view.keys import Keys
from hactl.wiring_controller import ControllerPorts, controller_ports

LOCK: Final = "controller.lock"


def serve(
    spec: ClusterSpec,
    site: Site,
    load: Callable[[], ClusterSpec],
    *,
    me: str = "",
    state: Path = Path(str(layout.STATE)),
    signals: Signals | None = None,
) -> None:
    """Until a signal ends it. `me`: which node this is, where its addresses do not tell.

    Raises:
        Refused: this machine is no node of the spec, or one without a controller.
        LockHeld: another one runs here.

    """
    signals = signals or Signals()
    me = me or own_node(spec)
    if me not in spec.voters:
        raise Refused(
            f"{me} has the role {spec.nodes[me].roles[0]}: controllers run on database nodes and witnesses"
        )
    signals.listen()
    with alone(state / LOCK):
        _serve(spec, site, load, me, state, signals)


def _serve(
    spec: ClusterSpec, site: Site, load: Callable[[], ClusterSpec], me: str, state: Path, signals: Signals
) -> None:
    clock, keys, boot, log = SystemClock(), Keys(spec.cluster), boot_id(), EventLog(me)
    ports = controller_ports(spec, site, me)
    election = Election(ports.kv, keys, Candidate(me, own_value(me, boot, clock.wall())), clock)
    file = JournalFile(state / layout.JOURNAL.relative_to(layout.STATE))
    tally = _counted(file, spec, log)
    common = Common(me, keys, clock, election, Board(LIMITS), Instruments(), log, tally)
    exporter = Exporter(common.board, common.instruments, spec, NodeCertificates(site.key.parent))

    def journal(of: ControllerPorts) -> tuple[EtcdJournal, Replica]:
        writer = Writer(me, boot, election.claim)
        return EtcdJournal(of.kv, keys, writer, clock, file), Replica(of.kv, keys, file, told=tally.add)

    def ports_of(new: ClusterSpec) -> ControllerPorts:
        allow_open_files(len(new.archive_addresses))
        return controller_ports(new, site, me)

    pki = site.key.parent
    tls = ServerTls(site.ca, pki / "metrics.crt", pki / "metrics.key", spec)

    def follow_spec(new: ClusterSpec) -> None:
        exporter.use(new)
        tls.use(new)

    means = Means(load, ports_of, journal, follow_spec)
    _show(exporter, tls, str(spec.nodes[me].address), log)
    log.say("started", boot=boot, cluster=spec.cluster)
    try:
        Controller(spec, means, common, SystemdNotify()).run(signals)
    finally:
        exporter.stop()


def _counted(file: JournalFile, spec: ClusterSpec, log: EventLog) -> Tally:
    """What this node's copy of the journal tells; counting goes on with what is copied from now on."""
    tally = Tally(spec.databases)
    try:
        tally.add(records(file.entries()))
    except StepFailed as error:
        log.say("the journal's copy cannot be read", why=error.message)
    return tally


def _show(exporter: Exporter, tls: ServerTls, address: str, log: EventLog) -> None:
    """A port that is taken hides the figures; it is no reason not to watch."""
    for listener in (
        Listener(address, layout.PORT_METRICS, tls),
        Listener("127.0.0.1", layout.PORT_METRICS_LOCAL),
    ):
        try:
            exporter.start(listener)
        except StepFailed as error:
            log.say("no metrics", where=f"{listener.host}:{listener.port}", why=error.message)


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """The lock lives as long as this process, however that ends. Raises LockHeld, StepFailed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StepFailed(f"cannot open {path}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise LockHeld(
            f"another controller runs on this node ({path})", hint="systemctl status hactl-controller"
        ) from error
    try:
        yield
    finally:
        os.close(handle)
