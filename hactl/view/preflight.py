"""What a node and its PostgreSQL tell of themselves when the doctor asks."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hactl.view.model import Unknown
from hactl.view.setting import Setting


class Reached(enum.StrEnum):
    """What a TCP connect came to. `silent`: no answer at all; `unknown`: nobody could try in time."""

    OK = "ok"
    REFUSED = "refused"
    SILENT = "silent"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Reach:
    """One connect, from the node that was asked. `to`: a node, or a virtual IP's name with `vip`."""

    to: str
    port: int
    what: str
    found: Reached
    vip: bool = False


@dataclass(frozen=True)
class ArpLook:
    """A virtual IP as its neighbours see it, from a node in its network. Hardware addresses in small letters.

    `mine`: of the interface that lies there; `macs`: of all of this node's. `claimed`: who answered for the
    address. `cached`: whom this node would send to now. `also`: further interfaces of this node in the same
    network. `rules`: the kernel's settings of that interface (arp_ignore, ...), as they count.
    """

    vip: str
    address: str
    interface: str
    mine: str
    held: bool
    macs: tuple[str, ...] = ()
    claimed: tuple[str, ...] = ()
    cached: str = ""
    also: tuple[str, ...] = ()
    rules: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Upgrades:
    """What may start services anew, or the machine, by itself. `kept`: patterns of packages left alone.

    `restarts`: needrestart does so without asking; `spared`: patterns of services that it leaves alone.
    """

    unattended: bool = False
    kept: tuple[str, ...] = ()
    reboots: bool = False
    restarts: bool = False
    spared: tuple[str, ...] = ()


@dataclass(frozen=True)
class NodePreflight:
    """`kernel`: a feature -> what is wrong with it, "" when it is there. `watchdog` None: not asked for.

    `backup_age`: seconds since the site's own backup left its stamp; Unknown: why there is none.
    """

    reach: tuple[Reach, ...] = ()
    arp: tuple[ArpLook, ...] = ()
    upgrades: Upgrades | Unknown = field(default_factory=Upgrades)
    kernel: Mapping[str, str] = field(default_factory=dict)
    watchdog: bool | None = None
    backup_age: float | Unknown | None = None


@dataclass(frozen=True)
class Slot:
    """A replication slot; `retained`: bytes of WAL that it keeps, None: none, or not known."""

    name: str
    active: bool
    retained: int | None = None
    status: str = ""


@dataclass(frozen=True)
class ServerLook:
    """One running PostgreSQL. `rewind`: what is missing for the role that rewinds, "" for nothing.

    `wal`: bytes in pg_wal.
    """

    settings: Mapping[str, Setting]
    rewind: str | Unknown = ""
    wal: int | None = None
    slots: tuple[Slot, ...] = ()
