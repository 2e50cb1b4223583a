"""The manifest's hash chain: records in segments, each segment bound to all before it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

START: Final = "0" * 64
INGEST, LATER, GONE, WITNESS = "ingest", "later", "gone", "witness"


@dataclass(frozen=True)
class Record:
    """One line of the manifest.

    `ingest`, `later`: an object with its digests. `gone`: a row that went, `md5` says how. `witness`: what
    another node's manifest had come to: `uuid` is its node, `size` its segment, `sha256` its chain.
    """

    kind: str
    uuid: str
    size: int
    md5: str
    sha256: str
    timeline: int
    lsn: int

    def line(self) -> bytes:
        fields = [self.kind, self.uuid, self.size, self.md5, self.sha256, self.timeline, self.lsn]
        return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


@dataclass(frozen=True)
class Segment:
    """`first` counts records from 1; `chain` binds this segment and all before it."""

    number: int
    first: int
    records: int
    digest: str
    chain: str


def digest(records: Iterable[Record]) -> str:
    found = hashlib.sha256()
    for record in records:
        found.update(record.line())
    return found.hexdigest()


def link(before: Segment | None, node: str, records: int, content: str) -> Segment:
    """The segment that follows `before`; the first one is bound to the node's name."""
    number, first = (1, 1) if before is None else (before.number + 1, before.first + before.records)
    previous = hashlib.sha256(node.encode()).hexdigest() if before is None else before.chain
    text = f"{previous} {number} {first} {records} {content}"
    return Segment(number, first, records, content, hashlib.sha256(text.encode()).hexdigest())


@dataclass(frozen=True)
class Anchor:
    """What a manifest had come to, kept where its owner does not keep the manifest."""

    node: str
    segment: int
    chain: str


def problems(
    node: str, segments: Iterable[tuple[Segment, Iterable[Record]]], anchors: Iterable[Anchor]
) -> Iterator[str]:
    """Everything that says that the manifest of `node` is not what it was. Reads each record once."""
    wanted = {a.segment: a for a in anchors if a.node == node}
    before: Segment | None = None
    for segment, records in segments:
        count, content = _count(records)
        again = link(before, node, count, content)
        if again != segment:
            yield f"segment {segment.number} was changed, or one before it is missing"
            return
        anchor = wanted.pop(segment.number, None)
        if anchor is not None and anchor.chain != segment.chain:
            yield f"segment {segment.number} is not the one that was anchored: the manifest was written anew"
        before = segment
    last = before.number if before is not None else 0
    for number in sorted(wanted):
        yield f"segment {number} was anchored and is missing: the manifest ends at {last}"


def _count(records: Iterable[Record]) -> tuple[int, str]:
    found, count = hashlib.sha256(), 0
    for record in records:
        found.update(record.line())
        count += 1
    return count, found.hexdigest()
