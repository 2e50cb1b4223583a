"""What a failover needs of the running database: a way back for the old primary, room for WAL, a backup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from hactl import layout
from hactl.decide.codes import Finding, finding
from hactl.decide.preflight_network import known
from hactl.spec.model import ClusterSpec
from hactl.units import Bytes
from hactl.view import derive
from hactl.view.cluster import ClusterView
from hactl.view.model import Disk, NodeFacts, Unknown
from hactl.view.preflight import ServerLook
from hactl.view.setting import Setting
from hactl.view.times import span

LATE: Final = {"day": 26 * 3600.0, "week": 7.5 * 86400.0}  # s
MUCH: Final = 0.5  # of what a slot may keep
_MIB: Final = 1024 * 1024
_KEEPS: Final = "max_slot_wal_keep_size"


def servers(view: ClusterView) -> dict[str, ServerLook]:
    return {n: s for n, s in view.servers.items() if isinstance(s, ServerLook)}


def told(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """A server that does not run, or whose node told nothing at all, has a finding of its own."""
    for node, server in view.servers.items():
        itself = derive.selves(view).get(node)
        runs = itself is not None and itself.state == "running"
        if isinstance(server, Unknown) and runs and isinstance(view.facts.get(node), NodeFacts):
            yield finding("SOURCE_UNKNOWN", node, f"what its PostgreSQL runs with: {server.why}")


def rewind(_: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    for node, server in servers(view).items():
        lacks = list(_lacks(server.settings))
        if isinstance(server.rewind, Unknown):
            yield finding("FACTS_UNKNOWN", node, f"whether it could be rewound: {server.rewind.why}")
        elif server.rewind:
            lacks.append(server.rewind)
        if lacks:
            yield finding("REWIND_IMPOSSIBLE", node, "; ".join(lacks))


def _lacks(settings: Mapping[str, Setting]) -> Iterator[str]:
    on = {name for name, setting in settings.items() if setting.value == "on"}
    if "wal_log_hints" in settings and not {"wal_log_hints", "data_checksums"} & on:
        yield "it runs without wal_log_hints and without data checksums"
    if "full_page_writes" in settings and "full_page_writes" not in on:
        yield "it runs without full_page_writes"


def head_room(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """Room for all the WAL that a lost standby's slot may keep: else the primary's disk fills, it stops."""
    for node, server in servers(view).items():
        said = [*_room(spec, view, node, server), *_held(server)]
        if said:
            yield finding("WAL_HEADROOM", node, "; ".join(said))


def _room(spec: ClusterSpec, view: ClusterView, node: str, server: ServerLook) -> Iterator[str]:
    most = _keeps(server)
    if most is None:
        return
    if most < 0:
        yield f"{_KEEPS} is off: a lost standby's slot keeps WAL without an end"
        return
    disk = _disk(view.facts.get(node), layout.pg_data(spec.database.version))
    grows = Bytes(max(0, most - (server.wal or 0)))
    if disk is not None and disk.free < grows:
        yield f"{disk.path} has {disk.free} free, and WAL may grow by {grows} ({_KEEPS})"


def _held(server: ServerLook) -> Iterator[str]:
    most = _keeps(server)
    for slot in server.slots:
        if not slot.active and most is not None and most > 0 and (slot.retained or 0) > MUCH * most:
            yield f"slot {slot.name}, which nobody uses, keeps {Bytes(slot.retained or 0)} of WAL"


def _keeps(server: ServerLook) -> int | None:
    """Bytes; below zero: without an end."""
    setting = server.settings.get(_KEEPS)
    try:
        return None if setting is None else int(setting.value) * _MIB
    except ValueError:
        return None


def _disk(facts: NodeFacts | Unknown | None, data: PurePosixPath) -> Disk | None:
    """The one that the data lie on: of those above them the nearest."""
    disks = facts.disks if isinstance(facts, NodeFacts) else ()
    above = [disk for disk in disks if data.is_relative_to(disk.path)]
    return max(above, key=lambda disk: len(disk.path), default=None)


def backup(spec: ClusterSpec, view: ClusterView) -> Iterator[Finding]:
    """The newest of the nodes' stamps counts: either of the two may be backed up."""
    wanted = spec.database.backup
    if wanted is None:
        yield finding("BACKUP_UNKNOWN")
        return
    ages = {
        n: p.backup_age for n, p in known(view).items() if n in spec.databases and p.backup_age is not None
    }
    young = [age for age in ages.values() if isinstance(age, float)]
    if young and min(young) <= LATE[wanted.every]:
        return
    if young:
        yield finding(
            "BACKUP_OLD", detail=f"{wanted.stamp}: {span(min(young))} ago, one is due each {wanted.every}"
        )
    elif ages:
        said = "; ".join(f"{n}: {age.why}" for n, age in ages.items() if isinstance(age, Unknown))
        yield finding("BACKUP_OLD", detail=f"{wanted.stamp}: {said}")


CHECKS = (told, rewind, head_room, backup)
