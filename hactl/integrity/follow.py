"""The follower: hashes each new image seconds after it was stored, and writes it down in hactl's manifest.

The index is polled, not the storage: on shared storage nobody is told of new files. The file is read once,
its MD5 must be the index's, and only then its SHA-256 is written down as the truth for later.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hactl.errors import Unreachable
from hactl.integrity import chain, compare
from hactl.integrity.chain import GONE, INGEST, LATER, WITNESS, Anchor, Record
from hactl.integrity.index import Index
from hactl.integrity.manifest import Manifest
from hactl.integrity.marks import Marks
from hactl.integrity.model import Finding, Position, Row
from hactl.integrity.pace import Pace
from hactl.integrity.ports import Anchors
from hactl.integrity.storage import Stopped, Storage

EVERY: Final = 2.0  # s between two looks at the index
AT_ONCE: Final = 500  # rows of one look; a segment has at most so many
# A resource's number is taken before its transaction commits: one that commits late has a number below others
# that were seen already. So each look goes back by so many.
BACK: Final = 200
KINDS: Final = 8  # files that a resource may have; most have one
RECENT: Final = (
    2000  # objects whose rows are watched: one that goes soon after it came was deleted on purpose
)
RECENT_EVERY: Final = 10.0
ANCHOR_EVERY: Final = 30.0
WITNESS_EVERY: Final = 3600.0  # two that wrote down each other's heads at once would never come to rest
# After a failover numbers may be given a second time.
BACK_AFTER_FAILOVER: Final = 20_000


@dataclass
class FollowState:
    """Where it is; the first two are kept in the manifest itself, with the records they follow from."""

    at: int = 0
    timeline: int = 0
    live_from: int = 0  # what has a higher number came while hactl watched: hashed at ingest
    recent: collections.OrderedDict[str, Row] = field(default_factory=collections.OrderedDict)
    behind: int = 0
    failed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class FollowParts:
    node: str
    index: Index
    storage: Storage
    manifest: Manifest
    marks: Marks
    anchors: Anchors
    pace: Pace
    clock: Callable[[], float]
    wall: Callable[[], str]


class Follower:
    def __init__(self, parts: FollowParts) -> None:
        self._p = parts
        notes = parts.manifest.notes()
        self.state = FollowState(
            int(notes.get("at", 0)), int(notes.get("timeline", 0)), int(notes.get("live_from", -1))
        )
        self._watched = self._anchored = self._witnessed = -1e9
        self._objects = parts.manifest.objects()

    def once(self) -> bool:
        """One look. True: there is more to do at once. Raises Unreachable, Refused, StepFailed, Stopped."""
        self._p.storage.proven()
        state = self.state
        if state.live_from < 0:
            state.live_from = self._p.index.newest()
        before = state.at
        rows = self._p.index.after(max(0, before - BACK), AT_ONCE + BACK * KINDS)
        now = self._p.index.position()  # behind the rows: what they say was committed before
        if state.timeline and now.timeline != state.timeline:
            self._failover(now)
            return True
        state.timeline = now.timeline
        unknown = self._p.manifest.missing(row.uuid for row in rows)
        records = self._hash([row for row in rows if row.uuid in unknown], now)
        state.at = max([state.at, *(row.resource for row in rows)])
        self._append([*records, *self._gone(now)])
        self._anchor()
        state.behind = max(0, self._p.index.newest() - state.at)
        return len(rows) > AT_ONCE and state.at > before

    def _failover(self, now: Position) -> None:
        state = self.state
        state.at, state.timeline = max(0, state.at - BACK_AFTER_FAILOVER), now.timeline
        state.recent.clear()
        self._append([])

    def _append(self, records: Sequence[Record]) -> None:
        state = self.state
        notes = {"at": str(state.at), "timeline": str(state.timeline), "live_from": str(state.live_from)}
        self._p.manifest.append(records, notes)
        self._objects += sum(record.kind in {INGEST, LATER} for record in records)

    def _hash(self, rows: Sequence[Row], now: Position) -> list[Record]:
        """The records of what is as the index says; the rest becomes a mark."""
        records, wrong = [], []
        for row in rows:
            finding, record = self._one(row, now)
            if record is not None:
                records.append(record)
                self._remember(row)
            elif finding is not None:
                wrong.append((row, finding))
        if wrong:
            there = self._p.index.having([row.uuid for row, _ in wrong])
            self._p.marks.add((f for row, f in wrong if row.uuid in there), f"ingest {self._p.wall()}")
        return records

    def _one(self, row: Row, now: Position) -> tuple[Finding | None, Record | None]:
        try:
            hashed = self._p.storage.hashed(row.uuid, md5=True, want=self._p.pace.take)
        except FileNotFoundError:
            return compare.missing(row), None
        except OSError as error:
            raise Unreachable(f"{row.uuid}: {error.strerror}") from error
        finding = compare.judge(row, hashed, None)
        if finding is not None:
            return finding, None
        kind = INGEST if row.resource > self.state.live_from else LATER
        record = Record(
            kind, row.uuid, hashed.size, hashed.md5 or "", hashed.sha256, now.timeline, now.lsn.value
        )
        return None, record

    def _remember(self, row: Row) -> None:
        recent = self.state.recent
        recent[row.uuid] = row
        while len(recent) > RECENT:
            recent.popitem(last=False)

    def _gone(self, now: Position) -> list[Record]:
        """Rows that went since they were seen, on the same timeline: somebody deleted them."""
        found: dict[str, str] = {}
        for uuid in self._p.index.deleted():
            known, gone = self._p.manifest.of(uuid)
            if known is not None and gone is None:
                found[uuid] = "deleted"
        if self._p.clock() - self._watched >= RECENT_EVERY and self.state.recent:
            self._watched = self._p.clock()
            recent = self.state.recent
            there = {r.uuid for r in self._p.index.of_resources([r.resource for r in recent.values()])}
            # Only if no failover came between the two looks is a row that is missing a row that was deleted.
            if self._p.index.position().timeline == now.timeline:
                found.update({uuid: "vanished" for uuid in recent if uuid not in there and uuid not in found})
        for uuid in found:
            self.state.recent.pop(uuid, None)
        return [Record(GONE, u, 0, how, "", now.timeline, now.lsn.value) for u, how in found.items()]

    def _anchor(self) -> None:
        """Own head to etcd, the others' heads into the own manifest: each is witness of the others."""
        if self._p.clock() - self._anchored < ANCHOR_EVERY:
            return
        if self._p.clock() - self._witnessed >= WITNESS_EVERY:
            self._witness()
        head = self._p.manifest.head()
        if head is not None:
            self._anchored = self._p.clock()
            self._p.anchors.anchor(Anchor(self._p.node, head.number, head.chain))

    def _witness(self) -> None:
        notes = self._p.manifest.notes()
        records = [
            Record(WITNESS, other.node, other.segment, "", other.chain, 0, 0)
            for other in self._p.anchors.anchored()
            if other.node != self._p.node and notes.get(f"anchor/{other.node}") != other.chain
        ]
        if records:
            self._p.manifest.append(records, {f"anchor/{r.uuid}": r.sha256 for r in records})
            self._witnessed = self._p.clock()

    def began(self, now: float) -> float:
        """When this manifest was begun, in Unix time; the first call says so."""
        found = self._p.manifest.notes().get("began")
        if found is None:
            self._p.manifest.append([], {"began": str(now)})
            return now
        return float(found)

    def status(self) -> dict[str, object]:
        """For the agent: how far it is."""
        head = self._p.manifest.head()
        return {
            "objects": self._objects, "segment": head.number if head else 0,
            "chain": head.chain if head else chain.START, "behind": self.state.behind,
            "timeline": self.state.timeline,
        }  # fmt: skip


__all__ = ["AT_ONCE", "EVERY", "FollowParts", "Follower", "Stopped"]
