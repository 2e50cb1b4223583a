"""Is the image storage the one that it was? Pure.

An unmounted storage is an empty folder that takes images, and a swapped one has others' images or none. The
marker file tells most of it. A device number that changes while the marker stays is a remount, a copy or an
old backup: only an image that the index knows, read from there, tells which.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass

from hactl.view.model import Probe, State
from hactl.view.storage import StorageSeen


class Identity(enum.StrEnum):
    """`stalled`: no answer. `doubtful`: our marker, on another device than before."""

    UNKNOWN = "unknown"
    PROVEN = "proven"
    DOUBTFUL = "doubtful"
    STALLED = "stalled"
    LOST = "lost"


@dataclass(frozen=True)
class Known:
    """Where the storage was when its identity was last proven; kept over boots."""

    device: int
    mounted: bool


@dataclass(frozen=True)
class Verdict:
    """`device`: what is there, proven or doubtful; 0: neither."""

    identity: Identity
    why: str = ""
    device: int = 0

    @property
    def probe(self) -> Probe:
        states = {Identity.PROVEN: State.OK, Identity.UNKNOWN: State.UNKNOWN}
        return Probe(states.get(self.identity, State.FAILED), self.why)


NOT_LOOKED = Verdict(Identity.UNKNOWN, "not looked yet")


def judge(seen: StorageSeen, known: Known | None, cluster: str) -> Verdict:
    """`known` None: never proven on this node, so that the marker alone decides (the first deployment)."""
    if seen.marker is None:
        return Verdict(Identity.LOST, seen.why)
    if seen.marker != cluster:
        return Verdict(Identity.LOST, "its marker belongs to another installation")
    if known is not None and known.mounted and not seen.mounted:
        return Verdict(Identity.LOST, "a folder of this node's own disk is there instead of a mount")
    if known is not None and known.device != seen.device:
        was, now = name(known.device), name(seen.device)
        why = f"device {now} where {was} was: not proven to be the same storage"
        return Verdict(Identity.DOUBTFUL, why, seen.device)
    return Verdict(Identity.PROVEN, f"device {name(seen.device)}", seen.device)


def name(device: int) -> str:
    """As the kernel writes it in /proc: 12 bits of major and 20 of minor number."""
    major = (device >> 8) & 0xFFF
    minor = (device & 0xFF) | ((device >> 12) & 0xFFF00)
    return f"{major}:{minor}"


def known_text(known: Known) -> str:
    return json.dumps({"device": known.device, "mounted": known.mounted}) + "\n"


def parse_known(text: str | None) -> Known | None:
    """None also for what is no such text: then the marker alone decides, as on a new node."""
    try:
        found = json.loads(text or "")
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    device, mounted = found.get("device"), found.get("mounted")
    return Known(device, mounted) if isinstance(device, int) and isinstance(mounted, bool) else None
