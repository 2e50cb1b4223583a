"""Puts follower, scrub and reconcile of one archive node together, from a spec and a site."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hactl import layout
from hactl.adapters.http import HttpsClient
from hactl.errors import Refused, UsageError
from hactl.integrity import reports
from hactl.integrity.dcmsign import SigningKeys
from hactl.integrity.door import OrthancDoor
from hactl.integrity.etcd_notes import EtcdNotes
from hactl.integrity.follow import Follower, FollowParts
from hactl.integrity.hand import Hand, local
from hactl.integrity.index import Index
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.mend import Mender
from hactl.integrity.pace import Pace
from hactl.integrity.plan import Plan
from hactl.integrity.reconcile import ReconcileParts
from hactl.integrity.scrub import ScrubParts
from hactl.integrity.signatures import Signatures
from hactl.integrity.signer import Signer, SignerParts
from hactl.integrity.storage import Storage
from hactl.site import Site
from hactl.spec.model import ClusterSpec
from hactl.view.keys import Keys
from hactl.wiring import etcd_kv

MEGA: Final = 1_000_000
INGEST_RATE: Final = 200 * MEGA  # bytes a second: new images come from memory, but a backlog comes from disk
LOOK_BACK: Final = 7 * 86400.0  # s: no failover that nobody reconciled is older
MARGIN: Final = 3600.0
SIGNATURES: Final = "signatures.db"
LEFT_AFTER: Final = 3600.0  # s: no image takes that long


@dataclass(frozen=True)
class Here:
    """One archive node. `state`: hactl's own folder there. `wait` sleeps; True: the work is to stop."""

    spec: ClusterSpec
    site: Site
    node: str
    wait: Callable[[float], bool]
    stopping: Callable[[], bool]
    state: Path = Path(layout.INTEGRITY)

    def __post_init__(self) -> None:
        if self.node not in self.spec.archives:
            raise UsageError(f"{self.node} is no archive node", hint="hactl spec show")
        if not os.access(self.state, os.W_OK):
            unit = "the units hactl-manifest, hactl-scrub and hactl-reconcile do this"
            raise Refused(f"{self.state} cannot be written by this account: {unit}")

    def file(self, name: str) -> Path:
        return self.state / name

    def index(self) -> Index:
        return Index(conninfo(self.spec, self.site))

    def storage(self) -> Storage:
        return Storage(Path(self.spec.archive.storage), self.spec.cluster)

    def manifest(self) -> Manifest:
        return Manifest(self.file("manifest.db"), self.node)

    def marks(self) -> Marks:
        return Marks(self.file("marks.db"))

    def notes(self) -> EtcdNotes:
        return EtcdNotes(etcd_kv(self.spec, self.site, here=self.node), Keys(self.spec.cluster))

    def hand(self) -> Hand:
        return Hand(local(Path(layout.HAND_SOCKET)))

    def pace(self, rate: float, ceiling: float, own: int) -> Pace:
        return Pace(rate, ceiling, time.monotonic, self.wait, functools.partial(load_of_others, own))


def conninfo(spec: ClusterSpec, site: Site) -> dict[str, str]:
    """The archive's own role through the database VIP; the primary only: a standby may be behind.

    Not `read-write`, as Orthanc has it: this session is read only by its own will.
    """
    name = spec.database.name
    return {
        "host": str(spec.vips.database.address.ip), "port": str(layout.PORT_POSTGRES), "user": name,
        "dbname": name, "passfile": str(site.pgpass), "sslmode": "verify-full", "sslrootcert": str(site.ca),
        "channel_binding": "require", "gssencmode": "disable", "target_session_attrs": "primary",
        "connect_timeout": "5", "keepalives_idle": "2", "keepalives_interval": "1", "keepalives_count": "3",
        "tcp_user_timeout": "5000",
    }  # fmt: skip


def load_of_others(own: int) -> float:
    """Processes that run or wait for a disk, for each processor, without this work's own readers."""
    return max(0.0, os.getloadavg()[0] - own) / (os.cpu_count() or 1)


def now_text() -> str:
    """A run's name, and times for readers: UTC."""
    return datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")


def follower(here: Here) -> Follower:
    return Follower(
        FollowParts(
            node=here.node,
            index=here.index(),
            storage=here.storage(),
            manifest=here.manifest(),
            marks=here.marks(),
            anchors=here.notes(),
            pace=here.pace(INGEST_RATE, 0, 1),
            clock=time.monotonic,
            wall=now_text,
        )
    )


def signer(here: Here, *, begin: bool = False) -> Signer:
    """`begin`: from now on new images are signed. Raises Refused: none is to be, or none was signed yet."""
    wanted = here.spec.archive.signing
    if wanted is None:
        raise Refused("nothing is signed here", hint="archive.signing in the spec, then hactl deploy")
    if not begin and not here.file(SIGNATURES).exists():  # made by root it would not be the unit's to write
        raise Refused("nothing is signed here yet", hint="systemctl status hactl-sign.service")
    keys = SigningKeys(Path(wanted.key), Path(wanted.certificate), Path(wanted.trusted))
    scratch = _scratch(here)
    pace = here.pace(INGEST_RATE, 0, 1)
    return Signer(
        SignerParts(
            here.index(),
            here.storage(),
            Signatures(here.file(SIGNATURES)),
            keys,
            scratch,
            now_text,
            pace.take,
        )
    )


def _scratch(here: Here) -> Path:
    """For copies of images: each account has its own. What a killed process left goes."""
    scratch = here.file(f"scratch-{os.geteuid()}")
    scratch.mkdir(mode=0o700, exist_ok=True)
    for left in scratch.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_AFTER:
                shutil.rmtree(left)
    return scratch


def scrub_parts(here: Here) -> ScrubParts:
    wanted, storage = here.spec.archive.scrub, here.storage()

    def save(progress: reports.Progress) -> None:
        reports.write(here.file(reports.SCRUB), progress.plain())

    return ScrubParts(
        index=here.index(), storage=storage, plan=Plan(here.file("scrub-plan.db")), manifest=here.manifest(),
        marks=here.marks(), pace=here.pace(wanted.rate * MEGA, wanted.load, wanted.readers),
        readers=wanted.readers, save=save, stopping=here.stopping,
        mender=Mender(storage, tuple(Path(p) for p in wanted.copies), here.hand()),
    )  # fmt: skip


def reconcile_parts(here: Here, since: float | None) -> ReconcileParts:
    https = HttpsClient(here.site.ca, here.site.cert, here.site.key)
    return ReconcileParts(
        index=here.index(), storage=here.storage(), plan=Plan(here.file("reconcile-plan.db")),
        manifest=here.manifest(), marks=here.marks(), forks=here.notes(),
        door=OrthancDoor(https, str(here.spec.nodes[here.node].address)), hand=here.hand(),
        since=_since(here) if since is None else since, wait=here.wait,
    )  # fmt: skip


def _since(here: Here) -> float:
    """From when on a file that nobody knows may be one whose row was lost: the last whole run's begin."""
    found = (reports.read(here.file(reports.RECONCILE)) or {}).get("whole_since")
    longest = time.time() - LOOK_BACK
    return max(longest, float(found) - MARGIN) if isinstance(found, int | float) else longest
