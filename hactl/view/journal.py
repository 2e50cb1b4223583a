"""The journal: records in a chain of hashes, and what is wrong with one.

A record is a JSON object on one line, compact, its keys sorted. `hash` is the SHA-256 of that line without
the field `hash`; `prev` is the hash of the record before. So nobody changes, removes or inserts a record
without changing all that come after it, on every node and in etcd.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from hactl.view.parse.fields import Json, document, mapping, number, text

START = "0" * 64  # `prev` of the first record
MAX_DATA = 64 * 1024  # characters; etcd takes 1.5 MB in one request, and nobody reads that


class Kind(enum.StrEnum):
    INTENT = "intent"
    RESULT = "result"
    EVENT = "event"


@dataclass(frozen=True)
class Record:
    """`of`: a result's intent, else 0. `mono_ms`: the writer's monotonic clock in this `boot` of its node.

    `wall` (ISO 8601, UTC) is for readers only. A result's data has `ok`: null where it is not known.
    """

    seq: int
    wall: str
    mono_ms: int
    boot: str
    node: str
    actor: str
    kind: Kind
    action: str
    incident: str = ""
    epoch: int = 0
    of: int = 0
    data: Mapping[str, object] = field(default_factory=dict)
    prev: str = START
    hash: str = ""


@dataclass(frozen=True)
class Note:
    """A line beside the chain that a copy writes of itself: `gap` (it was away too long), `torn`, `fork`."""

    note: str
    wall: str
    first: int = 0
    last: int = 0


@dataclass(frozen=True)
class Unreadable:
    """A line that is neither. `line` is where it stands, from 1."""

    line: int
    why: str


Entry = Record | Note | Unreadable


def canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def sealed(record: Record) -> Record:
    """The record with its hash. Its data becomes what JSON keeps of it, so that it reads back as the same."""
    data = canonical(record.data)
    if len(data) > MAX_DATA:
        data = canonical({"left_out": f"{len(data)} characters"})
    return _hashed(dataclasses.replace(record, data=json.loads(data)))


def _hashed(record: Record) -> Record:
    return dataclasses.replace(record, hash=hash_of(record))


def hash_of(record: Record) -> str:
    fields = dataclasses.asdict(record)
    del fields["hash"]
    return hashlib.sha256(canonical(fields).encode()).hexdigest()


def text_of(record: Record) -> str:
    return canonical(dataclasses.asdict(record))


def parse_record(line: str) -> Record:
    """Raises ValueError: not a record. Whether its hash is right is for `verify` to say."""
    return _record(mapping(document(line.encode(), "record"), "record"))


def _record(found: Json) -> Record:
    unknown = found.keys() - {f.name for f in dataclasses.fields(Record)}
    if unknown:  # it would not be in the hash that is compared
        raise ValueError(f"record: unknown field {min(unknown)}")
    return Record(
        seq=_number(found, "seq"),
        wall=text(found.get("wall"), "wall"),
        mono_ms=_number(found, "mono_ms"),
        boot=text(found.get("boot"), "boot"),
        node=text(found.get("node"), "node"),
        actor=text(found.get("actor"), "actor"),
        kind=Kind(text(found.get("kind"), "kind")),
        action=text(found.get("action"), "action"),
        incident=text(found.get("incident"), "incident"),
        epoch=_number(found, "epoch"),
        of=_number(found, "of"),
        data=mapping(found.get("data"), "data"),
        prev=text(found.get("prev"), "prev"),
        hash=text(found.get("hash"), "hash"),
    )


def _number(found: Json, name: str) -> int:
    value = number(found.get(name))
    if value is None:
        raise ValueError(f"record: {name} is no number")
    return value


def note_text(note: Note) -> str:
    return canonical(dataclasses.asdict(note))


def parse_lines(lines: list[str]) -> list[Entry]:
    """A journal's file, line by line. Never raises."""
    return [_entry(number_, line) for number_, line in enumerate(lines, start=1) if line.strip()]


def _entry(line: int, said: str) -> Entry:
    try:
        found = mapping(document(said.encode(), "line"), "line")
        if "note" not in found:
            return _record(found)
        return Note(
            str(found["note"]), str(found.get("wall", "")), number(found.get("first")) or 0,
            number(found.get("last")) or 0,
        )  # fmt: skip
    except ValueError as error:
        return Unreadable(line, str(error))


def records(entries: list[Entry]) -> list[Record]:
    return [e for e in entries if isinstance(e, Record)]
