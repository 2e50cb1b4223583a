"""keepalived: the actuator of both virtual IPs, and the check that ties the database's to the primary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from hactl import layout
from hactl.render.engine import header, text
from hactl.render.secrets import RenderSecrets
from hactl.render.targets import RenderedFile
from hactl.spec.model import ClusterSpec, Node, Vip

UNIT: Final = "keepalived.service"
SCRIPT_USER: Final = "hactl"

# A node takes the address three and a half of these after it may: 0.12 s; with 0.1 it was 0.4 s. For the
# database one node may at a time, whatever is lost on the way, so a short one risks nothing.
DATABASE_ADVERT: Final = 0.03
ARCHIVE_ADVERT: Final = 0.25
TRACK_NAME: Final = "hactl_lease"
ARCHIVE_TRACK_NAME: Final = "hactl_archive"


@dataclass(frozen=True)
class Check:
    """A vrrp_script; times in seconds. Weight 0: failure takes the node out, else lowers its priority."""

    name: str
    command: str
    interval: int
    timeout: int
    fall: int
    rise: int
    weight: int


PRIMARY: Final = Check("check_primary", str(layout.LIB / "check-primary"), 1, 6, 1, 1, 0)
ARCHIVE: Final = Check("check_archive", str(layout.LIB / "check-archive"), 1, 4, 2, 1, 0)
# While the database fails over no archive node reaches its index: with a weight one keeps the address.
INDEX: Final = Check("check_index", str(layout.LIB / "check-archive-index"), 5, 4, 2, 2, -20)
# It waits for 2.3 s itself, so one failure is enough; killed by keepalived it would be one that nobody
# confirmed, so it has much time. A success is enough, too: until the first one the weight counts, and a
# deployment that brings this check to the holder of the address should not move it.
HUNG: Final = Check("check_hung", str(layout.LIB / "check-archive-hung"), 1, 10, 1, 1, -20)


@dataclass(frozen=True)
class Track:
    """A vrrp track_file of the agent's, and what keepalived writes there if there is none."""

    name: str
    file: str
    first: int


TRACKS: Final = {
    TRACK_NAME: Track(TRACK_NAME, str(layout.TRACK_FILE), -254),
    # The archive's own check decides where no agent does.
    ARCHIVE_TRACK_NAME: Track(ARCHIVE_TRACK_NAME, str(layout.ARCHIVE_TRACK), 0),
}


@dataclass(frozen=True)
class Instance:
    """One virtual IP on one node. `advert` in seconds; `tracks`: a file whose number takes the node out."""

    name: str
    interface: str
    router_id: int
    address: str
    peers: tuple[str, ...]
    checks: tuple[str, ...]
    advert: float
    tracks: str = ""


def render(spec: ClusterSpec, _secrets: RenderSecrets) -> Iterator[RenderedFile]:
    """Configuration, drop-in and check of each node that may hold a virtual IP."""
    for node in spec.nodes:
        vips = _instances(spec, node)
        if vips:
            yield from _files(spec, node, vips)


def _instances(spec: ClusterSpec, node: str) -> tuple[Instance, ...]:
    found = []
    if node in spec.databases:
        database = _instance("database", spec.vips.database, node, spec.databases, (PRIMARY,))
        found.append(replace(database, advert=DATABASE_ADVERT, tracks=TRACK_NAME))
    if node in spec.archives:
        archive = _instance("archive", spec.archive_vip, node, spec.archives, (ARCHIVE, INDEX, HUNG))
        found.append(replace(archive, tracks=ARCHIVE_TRACK_NAME))
    return tuple(found)


def _instance(
    name: str, vip: Vip, node: str, holders: dict[str, Node], checks: tuple[Check, ...]
) -> Instance:
    peers = tuple(str(n.address) for other, n in holders.items() if other != node)
    names = tuple(check.name for check in checks)
    return Instance(name, vip.interface, vip.router_id, str(vip.address), peers, names, ARCHIVE_ADVERT)


def _files(spec: ClusterSpec, node: str, vips: tuple[Instance, ...]) -> Iterator[RenderedFile]:
    head = header(node, spec.cluster)
    used = {name for vip in vips for name in vip.checks}
    yield RenderedFile(
        node=node,
        path=str(layout.KEEPALIVED_CONFIG),
        content=text(
            "keepalived/keepalived.conf.j2",
            header=head,
            node=node,
            address=spec.nodes[node].address,
            script_user=SCRIPT_USER,
            checks=[c for c in (PRIMARY, ARCHIVE, INDEX, HUNG) if c.name in used],
            vips=vips,
            tracks=[TRACKS[vip.tracks] for vip in vips],
        ),
        component="keepalived",
        on_change="reload",
        unit=UNIT,
    )
    yield RenderedFile(
        node=node,
        path=str(layout.SYSTEMD / f"{UNIT}.d" / "hactl.conf"),
        content=text("keepalived/dropin.conf.j2", header=head, vips=vips),
        component="keepalived",
        on_change="restart",
        unit=UNIT,
    )
    if node in spec.databases:
        yield RenderedFile(
            node=node,
            path=PRIMARY.command,
            content=text(
                "keepalived/check-primary.j2",
                header=head,
                pki=layout.PKI,
                port=layout.PORT_PATRONI,
                open_file=layout.OPEN_FILE,
                open_run=layout.OPEN_RUN,
                lease_file=layout.LEASE_FILE,
            ),
            component="keepalived",
            mode="0755",
            validate=("/bin/sh", "-n", "%s"),
        )
