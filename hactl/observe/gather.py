"""Looks at everything at once. A source that fails or is late becomes Unknown(why); nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hactl.observe.race import Pending, Race
from hactl.ports import Archive, Etcd, NodeLook, Patroni, Ports
from hactl.view.archive_kind import Abilities
from hactl.view.archive_levels import by_agent
from hactl.view.cluster import ClusterView, EtcdView
from hactl.view.control import AgentFacts, Dcs
from hactl.view.model import (
    NOT_ASKED,
    ArchiveView,
    CertView,
    EtcdMember,
    EtcdStatus,
    PatroniCluster,
    PatroniSelf,
    PatroniView,
    Probe,
    State,
    Unknown,
    VipView,
)

# The whole of one look. Adapters give up earlier and say why; this holds when an adapter does not.
WITHIN = 2.0


@dataclass(frozen=True)
class _PatroniAsked:
    itself: Pending[PatroniSelf]
    cluster: Pending[PatroniCluster]
    config: Pending[Mapping[str, object]] | None

    def view(self) -> PatroniView:
        config = self.config.value if self.config else Unknown("not asked for")
        return PatroniView(self.itself.value, self.cluster.value, config)


@dataclass(frozen=True)
class _EtcdAsked:
    status: Pending[EtcdStatus]
    members: Pending[tuple[EtcdMember, ...]]
    keys: Pending[Dcs]

    def view(self) -> EtcdView:
        return EtcdView(self.status.value, self.members.value, self.keys.value)


@dataclass(frozen=True)
class _ArchiveAsked:
    levels: Mapping[str, Pending[Probe]]
    version: Pending[str]

    def view(self, facts: AgentFacts | None, can: Abilities) -> ArchiveView:
        levels = {name: _probe(pending) for name, pending in self.levels.items()}
        return ArchiveView({**levels, **by_agent(facts, can)}, self.version.value, can)


def _probe(pending: Pending[Probe]) -> Probe:
    value = pending.value
    return Probe(State.UNKNOWN, value.why) if isinstance(value, Unknown) else value


def _ask_patroni(race: Race, name: str, port: Patroni, *, config: bool) -> _PatroniAsked:
    return _PatroniAsked(
        race.ask(f"patroni {name}", port.itself),
        race.ask(f"patroni cluster {name}", port.cluster),
        race.ask(f"patroni config {name}", port.config) if config else None,
    )


def _ask_etcd(race: Race, name: str, port: Etcd) -> _EtcdAsked:
    return _EtcdAsked(
        race.ask(f"etcd status {name}", port.status),
        race.ask(f"etcd members {name}", port.members),
        race.ask(f"etcd keys {name}", port.keys),
    )


def _ask_archive(race: Race, name: str, port: Archive) -> _ArchiveAsked:
    levels = {"L0": port.listens, "L1": port.answers, "L2": port.index}
    return _ArchiveAsked(
        {level: race.ask(f"archive {name} {level}", question) for level, question in levels.items()},
        race.ask(f"archive version {name}", port.version),
    )


def _looked(pending: Pending[NodeLook]) -> NodeLook:
    """A node without a login told nothing of all that it was asked."""
    value = pending.value
    return value if isinstance(value, NodeLook) else NodeLook(value, value, value, value)


def _newest(etcd: Mapping[str, EtcdView]) -> Dcs | Unknown:
    """The newest of what the members read; when nobody could, the reason that the last one gave."""
    reads = [member.keys for member in etcd.values()]
    looks = [read for read in reads if isinstance(read, Dcs)]
    whys = [read for read in reads if isinstance(read, Unknown)]
    return max(looks, key=lambda look: look.revision) if looks else (whys or [NOT_ASKED])[-1]


def _facts(control: Dcs | Unknown, node: str) -> AgentFacts | None:
    return None if isinstance(control, Unknown) else control.facts.get(node)


def gather(
    ports: Ports, *, within: float = WITHIN, waiting: Callable[[list[str]], None] | None = None
) -> ClusterView:
    """One look, at most `within` seconds. Never raises for what the world does.

    `waiting` is told now and then what has not answered yet.
    """
    at, start = ports.clock.wall(), ports.clock.monotonic()
    race = Race(ports.clock, within)
    nodes = {n: race.ask(f"node {n}", p.reachable) for n, p in ports.nodes.items()}
    patroni = {n: _ask_patroni(race, n, p, config=ports.config) for n, p in ports.patroni.items()}
    etcd = {n: _ask_etcd(race, n, p) for n, p in ports.etcd.items()}
    archives = {n: _ask_archive(race, n, p) for n, p in ports.archives.items()}
    vips = {n: race.ask(f"vip {n}", p.holder) for n, p in ports.vips.items()}
    examined = {n: race.ask(f"look {n}", p.look) for n, p in ports.examined.items()}
    certificates: Pending[tuple[CertView, ...]] | None = None
    if ports.certificates is not None:
        certificates = race.ask("certificates", ports.certificates.certificates)
    race.finish(waiting)
    members = {n: p.view() for n, p in etcd.items()}
    control = _newest(members)
    looks = {n: _looked(p) for n, p in examined.items()}
    return ClusterView(
        at=at,
        took=ports.clock.monotonic() - start,
        nodes={n: _probe(p) for n, p in nodes.items()},
        patroni={n: p.view() for n, p in patroni.items()},
        etcd=members,
        control=control,
        archives={n: p.view(_facts(control, n), ports.can) for n, p in archives.items()},
        vips={n: VipView(ports.vips[n].address, p.value) for n, p in vips.items()},
        facts={n: look.facts for n, look in looks.items()},
        preflight={n: look.preflight for n, look in looks.items()},
        servers={n: s for n, look in looks.items() if n in ports.patroni and (s := look.server) is not None},
        files={n: look.files for n, look in looks.items() if look.files is not None},
        certificates=certificates.value if certificates else (),
    )
