"""The only place that builds adapters: from a spec and a site to ports."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from hactl import layout
from hactl.adapters.archive_http import ArchiveVip
from hactl.adapters.clock import SystemClock
from hactl.adapters.etcd import EtcdGateway
from hactl.adapters.http import HttpsClient
from hactl.adapters.patroni_rest import DatabaseVip, PatroniRest
from hactl.adapters.tcp import SshBanner
from hactl.errors import Unreachable
from hactl.ports import Ports, Vip
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.view.keys import Keys
from hactl.view.kv import Get
from hactl.view.model import CertState, CertView
from hactl.view.pace import MANY
from hactl.wiring_archive import archive_kind, caller

if TYPE_CHECKING:
    from hactl.act.maintenance import Operator
    from hactl.adapters.etcd_kv import EtcdKvClient
    from hactl.adapters.node_look import Differences
    from hactl.adapters.ssh import Dispatcher
    from hactl.observe.config import Server


def https(site: Site) -> HttpsClient:
    """One for all that a process asks: so all of it notices when the certificate is not believed."""
    return HttpsClient(site.ca, site.cert, site.key, site.spare)


def status_ports(spec: ClusterSpec, site: Site, http: HttpsClient | None = None) -> Ports:
    """What `status` asks: everything that answers within its 2 s."""
    http = http or https(site)
    patroni = layout.PORT_PATRONI
    databases = {name: f"https://{node.address}:{patroni}" for name, node in spec.databases.items()}
    kind = archive_kind(spec, site, caller(spec, site), http)
    vips: dict[str, Vip] = {"database": DatabaseVip(http, str(spec.vips.database.address.ip), patroni)}
    if spec.vips.archive is not None:
        vips["archive"] = ArchiveVip(http, str(spec.vips.archive.address.ip))
    return Ports(
        clock=SystemClock(),
        nodes={n: SshBanner(str(node.address), spec.ssh.port) for n, node in spec.nodes.items()},
        patroni={n: PatroniRest(http, base) for n, base in databases.items()},
        etcd=etcd_gateways(spec, http),
        archives={name: kind.once(name) for name in spec.archive_addresses},
        vips=vips,
        can=kind.abilities,
    )


def glance_ports(spec: ClusterSpec, site: Site, also: Collection[str] = ()) -> Ports:
    """As `status_ports`; of many archive nodes only `also`: decide/archive_told.py has the rest."""
    ports = status_ports(spec, site)
    if len(spec.archives) <= MANY:
        return ports
    left_out = spec.archives.keys() - set(also)
    nodes = {name: host for name, host in ports.nodes.items() if name not in left_out}
    archives = {name: archive for name, archive in ports.archives.items() if name not in left_out}
    return dataclasses.replace(ports, archives=archives, nodes=nodes)


def etcd_gateways(spec: ClusterSpec, http: HttpsClient, gets: Sequence[Get] = ()) -> dict[str, EtcdGateway]:
    """Each voter's own etcd. `gets`: what is read of the keys, if not all."""
    keys, port = Keys(spec.cluster), layout.PORT_ETCD_CLIENT
    bases = {name: f"https://{node.address}:{port}" for name, node in spec.voters.items()}
    return {name: EtcdGateway(http, base, keys, gets) for name, base in bases.items()}


def etcd_kv(spec: ClusterSpec, site: Site, here: str = "", http: HttpsClient | None = None) -> EtcdKvClient:
    """Hactl's keys and Patroni's, through whichever voter answers: `here` first, database nodes last.

    A database node may be the one that was lost.
    """
    from hactl.adapters.etcd_kv import EtcdKvClient  # noqa: PLC0415 - status must not pay for it

    order = sorted(spec.voters, key=lambda name: (name != here, name not in spec.witnesses))
    endpoints = {name: f"https://{spec.voters[name].address}:{layout.PORT_ETCD_CLIENT}" for name in order}
    return EtcdKvClient(endpoints, http or https(site))


def operator(spec: ClusterSpec, site: Site) -> Operator:
    """Whoever runs this command, for what is done by hand."""
    import socket  # noqa: PLC0415 - status must not pay for all this

    from hactl.act.maintenance import Operator  # noqa: PLC0415
    from hactl.adapters import actor  # noqa: PLC0415

    caller = actor.caller()
    return Operator(
        kv=etcd_kv(spec, site),
        keys=Keys(spec.cluster),
        clock=SystemClock(),
        who=f"operator {actor.account()}",
        machine=socket.gethostname(),
        origin=actor.origin(),
        person=caller.person if caller else "",
    )


def doctor_ports(
    spec: ClusterSpec, site: Site, differences: Callable[[str], Differences] | None = None
) -> Ports:
    """What the doctor asks besides: dynamic configuration, each node over SSH, certificates on file.

    On a node the last two are left out: what logs in everywhere lies on the operator's workstation only.
    `differences`: what of a node's files is not as rendered.
    """
    ports = dataclasses.replace(status_ports(spec, site), config=True)
    if site.on_node:
        return ports
    from hactl.adapters.node_look import NodeExamined  # noqa: PLC0415 - as below: paramiko

    examined = {
        name: NodeExamined(
            dispatcher,
            database=name in spec.databases,
            differences=None if differences is None else differences(name),
        )
        for name, dispatcher in dispatchers(spec, site).items()
    }
    return dataclasses.replace(ports, examined=examined, certificates=StoredCertificates(spec, site))


def config_servers(spec: ClusterSpec, site: Site) -> dict[str, Server]:
    """How each database node's configuration is asked: from a node directly, from elsewhere over SSH."""
    from hactl.adapters import postgres_settings  # noqa: PLC0415 - as above: psycopg2, paramiko
    from hactl.observe.config import Server  # noqa: PLC0415

    http, over_ssh = https(site), {} if site.on_node else dispatchers(spec, site)

    def server(name: str, address: str) -> Server:
        patroni = PatroniRest(http, f"https://{address}:{layout.PORT_PATRONI}")
        if site.on_node:
            settings = postgres_settings.by_connection(_monitor(site, address))
        else:
            settings = postgres_settings.by_dispatcher(over_ssh[name])
        return Server(settings, patroni.waiting, patroni.itself, patroni.config)

    return {name: server(name, str(node.address)) for name, node in spec.databases.items()}


def _monitor(site: Site, address: str) -> dict[str, str]:
    return {
        "host": address, "port": str(layout.PORT_POSTGRES), "user": layout.ROLE_MONITOR,
        "dbname": "postgres", "sslmode": "verify-full", "sslrootcert": str(site.ca),
        "channel_binding": "require", "passfile": str(site.pgpass), "gssencmode": "disable",
    }  # fmt: skip


def dispatchers(spec: ClusterSpec, site: Site) -> dict[str, Dispatcher]:
    """Each node's dispatcher. Raises Unreachable where there is no SSH key: on a node."""
    from hactl.adapters.ssh import Dispatcher  # noqa: PLC0415 - status must not pay for paramiko's import

    if site.ssh_key is None:
        raise Unreachable("nodes have no SSH key", hint="run this where the operator's state folder is")
    key, clock, ssh = site.ssh_key, SystemClock(), spec.ssh
    return {
        name: Dispatcher(
            str(node.address),
            port=ssh.port,
            user=ssh.user,
            key=key,
            known_hosts=site.known_hosts,
            clock=clock,
        )
        for name, node in spec.nodes.items()
    }


class StoredCertificates:
    """The operator's state folder, as the doctor sees it."""

    def __init__(self, spec: ClusterSpec, site: Site) -> None:
        self._spec, self._state = spec, site.state

    def certificates(self) -> tuple[CertView, ...]:
        from hactl.pki.due import State  # noqa: PLC0415 - as above: cryptography
        from hactl.pki.store import Store  # noqa: PLC0415

        states = {State.EXPIRED: CertState.EXPIRED, State.EXPIRING: CertState.EXPIRING}
        return tuple(
            CertView(i.node, i.use, CertState.OK if i.fine else states.get(i.state, CertState.UNFIT), i.why)
            for i in Store(self._state).show(self._spec)
        )
