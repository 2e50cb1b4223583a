"""Where a drill takes place: whom its clients call, with which credentials. Made from a spec and a site."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hactl import layout
from hactl.drill import dicomweb
from hactl.drill.dicom_net import Archive, client_tls
from hactl.drill.dicomweb import Account, Web
from hactl.drill.history import Ordered, Row, Sound
from hactl.drill.keywatch import Keyed
from hactl.drill.link import Conninfo, Link
from hactl.drill.vipwatch import Addresses, Arp
from hactl.drill.writer import Opened
from hactl.drill.writewatch import Direct
from hactl.pki.store import Store
from hactl.render.orthanc import OPERATOR
from hactl.site import Site
from hactl.spec.model import ClusterSpec

Stored = Callable[[str, str], list[Row]]  # node, run
# A connection as a client on that node gets it, with these words for libpq, within so many seconds.
Inside = Callable[[str, Conninfo, float], Link]


@dataclass(frozen=True)
class Ground:
    """`database` goes through the VIP; `direct` opens a connection to a database node's own PostgreSQL.

    `stored` asks a database node which rows of a run stand there. None: nobody can look there.
    """

    database: Conninfo
    databases: tuple[str, ...]
    stored: Stored
    direct: Direct | None
    vips: Mapping[str, str]
    nodes: tuple[str, ...]
    addresses: Addresses | None
    archive: Archive
    web: Web
    keyed: Keyed | None = None  # what stands in etcd; None: nobody looks there
    inside: Inside | None = None  # None: no client of ours runs on a node
    orders: Callable[[], Sequence[Ordered]] | None = None  # all that BMCs were told; None: nobody can say
    arp: Callable[[], Arp] | None = None  # begins to ask; None: nobody asks for the VIPs by ARP
    sound: Callable[[str], Sound] | None = None  # None: nobody looks through a node's data files

    @property
    def clients(self) -> dict[str, Opened]:
        """How a client on each database node connects: by the same words as one outside."""
        if self.inside is None:
            return {}
        return {node: partial(self.inside, node, self.database) for node in self.databases}

    @property
    def blind(self) -> tuple[str, ...]:
        """What nobody sees here, as the history calls it."""
        found = {"looks": self.addresses, "claims": self.direct}
        return tuple(name for name, means in found.items() if means is None)

    def calling_as(self, aet: str) -> Archive:
        return replace(self.archive, calling=aet)


def conninfo(site: Site, host: str) -> dict[str, str]:
    """As the probe role: TLS with the server's name verified, the password from the pgpass file."""
    return {
        "host": host, "port": str(layout.PORT_POSTGRES),
        "dbname": layout.DATABASE_HACTL, "user": layout.ROLE_PROBE,
        "passfile": str(site.pgpass), "sslmode": "verify-full", "sslrootcert": str(site.ca),
        "keepalives_idle": "2", "keepalives_interval": "1", "keepalives_count": "3",
        "tcp_user_timeout": "3000", "gssencmode": "disable",
    }  # fmt: skip


def ground(
    spec: ClusterSpec, site: Site, addresses: Addresses | None, stored: Stored, direct: Direct | None
) -> Ground:
    """Opens nothing yet. Reads the operator's account from the state folder.

    Raises:
        Refused: there is no state folder, or no secrets in it.

    """
    vip = str(spec.archive_vip.address.ip)
    secrets = Store(site.state).secrets()
    account = Account(OPERATOR, secrets.orthanc_ops.value)
    return Ground(
        database=conninfo(site, str(spec.vips.database.address.ip)),
        databases=tuple(spec.databases),
        stored=stored,
        direct=direct,
        vips={"database": str(spec.vips.database.address.ip), "archive": vip},
        nodes=tuple(spec.nodes),
        addresses=addresses,
        archive=Archive(vip, layout.PORT_DICOM_TLS, spec.archive.aet, client_tls(site)),
        web=dicomweb.connect(f"https://{vip}/dicom-web", account, ca=site.ca),
    )
