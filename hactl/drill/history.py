"""What happened during a drill: an append-only file of JSON lines, kept so that anyone can judge it again.

All times are seconds of CLOCK_MONOTONIC: one clock for everything on one machine, which nothing turns back.
"""

from __future__ import annotations

import datetime as dt
import enum
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, get_args

from hactl.errors import UsageError

# 2 has reads, and what was found afterwards; 3 has clients on the nodes themselves, 4 questions by
# ARP and what BMCs were told. Older files are read too.
VERSION = 4
READABLE = frozenset({1, 2, 3, 4})


class Outcome(enum.StrEnum):
    """What a client knows about its write."""

    OK = "ok"  # COMMIT returned, and no warning came with it
    FAIL = "fail"  # an error came before COMMIT was sent: the row cannot be there
    INFO = "info"  # anything else: the row may be there or not


@dataclass(frozen=True)
class Server:
    """One run of one instance, as it describes itself. Through a VIP its address says nothing."""

    node: str
    system: str  # system identifier: equal on both instances of a pair
    timeline: int
    started: str  # start of the postmaster: differs after each restart


@dataclass(frozen=True)
class Write:
    """One row in its own transaction. `sent` is when COMMIT was sent, None if it never was.

    `inside`: the node on which the client ran; "": on none of them, as nearly all of an archive's do.
    """

    client: str
    seq: int
    begin: float
    sent: float | None
    end: float
    outcome: Outcome
    server: Server | None = None
    fresh: bool = False  # made by a connection opened for it alone
    why: str = ""
    inside: str = ""


@dataclass(frozen=True)
class Store:
    """One image sent to the archive; ok means the archive acknowledged it with status 0x0000."""

    uid: str
    digest: str  # SHA-256 of its pixels
    begin: float
    end: float
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True)
class Glance:
    """A look at a node, made between `begin` and `end`. `held` is None when clients cannot reach it."""

    begin: float
    end: float
    held: tuple[str, ...] | None


@dataclass(frozen=True)
class Look:
    """Which node carried which VIPs (by name), all nodes one after the other."""

    at: float
    nodes: Mapping[str, Glance]


@dataclass(frozen=True)
class Answered:
    """A client asked for the VIPs by ARP: name -> the hardware addresses of all that answered."""

    begin: float
    end: float
    macs: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Claim:
    """What a database node said between `begin` and `end`. `writable` is None when it gave no answer."""

    node: str
    begin: float
    end: float
    writable: bool | None
    server: Server | None = None  # who it was, when writable
    why: str = ""


@dataclass(frozen=True)
class Mark:
    """Something done on purpose, or seen: `what` is fault, heal, primary or note."""

    begin: float
    end: float
    what: str
    node: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Read:
    """The highest row of each writing client that a reader saw. `sent`: when it asked, None: it never did.

    `outcome` is ok, or fail: a read that fails shows nothing. `recovery`: a standby answered.
    """

    client: str
    begin: float
    sent: float | None
    end: float
    outcome: Outcome
    seen: Mapping[str, int] = field(default_factory=dict)
    node: str = ""
    recovery: bool = False
    fresh: bool = False
    why: str = ""


@dataclass(frozen=True)
class KeySeen:
    """A key in etcd, below hactl's or Patroni's folder: "fence/db1", "leader". None: it is not there.

    It became `value` after `begin`, when the look before ended, and before `end`. At the first look, which
    says that somebody watches, `was` is the same.
    """

    key: str
    begin: float
    end: float
    was: str | None
    value: str | None

    @property
    def changed(self) -> bool:
        return self.was != self.value


@dataclass(frozen=True)
class Ordered:
    """What a machine's BMC was told to do: on, off, reset or shutdown."""

    node: str
    at: float
    power: str


@dataclass(frozen=True)
class Row:
    """A row of one run as it stands in a table: `id` is the order in which the server took it."""

    client: str
    seq: int
    id: int


@dataclass(frozen=True)
class Table:
    """The rows of this run that stood on a node after the drill."""

    node: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Sound:
    """Whether a node's data files are sound after the drill: what pg_amcheck complained of, `said`.

    `histories`: name of each file of a timeline's history that is there -> SHA-256 of it.
    """

    node: str
    said: tuple[str, ...] = ()
    histories: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pictures:
    """SOP instance UID -> SHA-256 of the pixels that came back after the drill."""

    found: Mapping[str, str]


@dataclass(frozen=True)
class Journaled:
    """hactl's journal from the last record before the drill on, as its lines stood in etcd after it."""

    lines: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What this drill is judged by; None: not asked.

    `limit`: longest allowed outage, seconds; `silence`: longest time after the fault without any
    acknowledgement, a second outage included. `failovers`: least and most. `acts`: what hactl may do about
    it, as "action", "action node" or "action:verb". `must`: promises that have to be judged: silence about
    them is a finding. `blind`: what nobody could look at where this took place: "looks", "claims", or
    "clocks", if the machines' times cannot be compared. `inside`: nodes on which clients had to run as well;
    `sound`: nodes whose data files had to be looked through afterwards. `arp`: whether the VIPs had to be
    asked for by ARP. `images`: longest time after the fault in which the archive takes none, seconds.
    """

    limit: float | None = None
    silence: float | None = None
    failovers: tuple[int, int] | None = None
    acts: tuple[str, ...] | None = None
    must: tuple[str, ...] = ()
    blind: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    sound: tuple[str, ...] = ()
    arp: bool = False
    images: float | None = None


LATER = (
    "blind",
    "inside",
    "sound",
    "arp",
    "images",
)  # fields that older readers do not know, and need not where they are empty
Event = (
    Write
    | Store
    | Look
    | Answered
    | Claim
    | Mark
    | Read
    | KeySeen
    | Ordered
    | Table
    | Sound
    | Pictures
    | Journaled
    | Asked
)
_KINDS: dict[str, type[Event]] = {kind.__name__.lower(): kind for kind in get_args(Event)}


def encode(event: Event) -> str:
    """One line without its newline."""
    fields = {name: value for name, value in asdict(event).items() if value or name not in LATER}
    return json.dumps({"event": type(event).__name__.lower(), **fields}, separators=(",", ":"))


def decode(line: str) -> Event | None:
    """The event of one line; None for the header. Raises ValueError, KeyError or TypeError otherwise."""
    raw: dict[str, Any] = json.loads(line)
    kind = raw.pop("event")
    if kind == "header":
        if raw["version"] not in READABLE:
            raise ValueError(f"version {raw['version']} instead of {VERSION}")
        return None
    if kind in {"write", "store", "read"}:
        raw["outcome"] = Outcome(raw["outcome"])
    if kind in {"write", "claim"}:
        raw["server"] = Server(**raw["server"]) if raw["server"] else None
    if kind == "look":
        raw["nodes"] = {name: _glance(glance) for name, glance in raw["nodes"].items()}
    if kind == "answered":
        raw["macs"] = {name: tuple(found) for name, found in raw["macs"].items()}
    if kind == "table":
        raw["rows"] = tuple(Row(**row) for row in raw["rows"])
    if kind in {"journaled", "asked", "sound"}:
        raw = {name: tuple(value) if isinstance(value, list) else value for name, value in raw.items()}
    return _KINDS[kind](**raw)


def _glance(raw: dict[str, Any]) -> Glance:
    held = raw["held"]
    return Glance(raw["begin"], raw["end"], None if held is None else tuple(held))


def read(path: Path) -> tuple[Event, ...]:
    """All events of a file, in the order they were written.

    A last line without a newline is what an interrupted run leaves: it is left out.
    Raises UsageError when the file is something else.
    """
    lines = path.read_text().split("\n")[:-1]
    try:
        events = [decode(line) for line in lines]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is not a history of a drill: {error}") from error
    return tuple(e for e in events if e is not None)


@dataclass
class History:
    """Collects events from many threads, writes each at once, and tells the listeners."""

    path: Path
    events: list[Event] = field(default_factory=list)
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Starts a new file; raises FileExistsError rather than mixing two runs."""
        path.parent.mkdir(parents=True, exist_ok=True)
        now = dt.datetime.now(tz=dt.UTC).isoformat()
        with path.open("x") as out:
            header = {"event": "header", "version": VERSION, "started": now, "clock": "monotonic"}
            out.write(json.dumps(header) + "\n")
        return cls(path)

    def add(self, event: Event) -> None:
        with self._lock:
            self.events.append(event)
            with self.path.open("a") as out:
                out.write(encode(event) + "\n")
        for tell in self.listeners:
            tell(event)

    def note(self, detail: str, node: str = "") -> None:
        now = time.monotonic()
        self.add(Mark(now, now, "note", node, detail))

    def doing(self, what: str, node: str, act: Callable[[], object], detail: str = "") -> Mark:
        """Runs `act` and records when it began and ended; records nothing when it raises."""
        begin = time.monotonic()
        act()
        mark = Mark(begin, time.monotonic(), what, node, detail)
        self.add(mark)
        return mark

    def snapshot(self) -> tuple[Event, ...]:
        with self._lock:
            return tuple(self.events)
