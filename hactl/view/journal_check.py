"""Is a journal what was written? Pure; the rules are a list of small questions."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hactl.view.journal import Entry, Kind, Note, Record, Unreadable, hash_of

# An act is over in seconds. A fence agent or a copy of a database works on its own after its act's result.
LONGEST_ACT_MS = 60_000


class Fault(enum.StrEnum):
    UNREADABLE = "unreadable"  # a line that is no record
    TAMPERED = "tampered"  # its content does not have its hash
    BROKEN = "broken"  # its `prev` is not the hash of the record before it
    GAP = "gap"  # records are missing
    ORDER = "order"  # an older record after a newer one
    FORK = "fork"  # two different records with one number
    NO_RESULT = "no-result"  # an act began, and nobody wrote what became of it
    NO_INTENT = "no-intent"  # a result of an act that nobody announced


@dataclass(frozen=True)
class Finding:
    """`seq`: the record that shows it; 0 for a line that is none."""

    fault: Fault
    seq: int
    what: str


def verify(entries: Sequence[Entry]) -> tuple[Finding, ...]:
    """All that is wrong, in the journal's order. It may begin anywhere: etcd keeps the last records only."""
    found = [*_lines(entries), *_acts([e for e in entries if isinstance(e, Record)])]
    return tuple(sorted(found, key=lambda f: f.seq))


def compare(one: Sequence[Record], other: Sequence[Record]) -> tuple[Finding, ...]:
    """Two copies of one journal: records with the same number are the same records."""
    hashes = {r.seq: r.hash for r in one}
    return tuple(
        Finding(Fault.FORK, r.seq, "two copies of the journal have different records with this number")
        for r in other
        if hashes.get(r.seq, r.hash) != r.hash
    )


def _lines(entries: Sequence[Entry]) -> Iterator[Finding]:
    before: Record | None = None
    noted: Note | None = None
    for entry in entries:
        if isinstance(entry, Unreadable):
            yield Finding(Fault.UNREADABLE, 0, f"line {entry.line}: {entry.why}")
        elif isinstance(entry, Note):
            noted = entry
        else:
            if hash_of(entry) != entry.hash:
                yield Finding(Fault.TAMPERED, entry.seq, "its content does not have the hash that it says")
            if before is not None:
                yield from _joint(before, entry, noted)
            before, noted = entry, None


def _joint(before: Record, after: Record, noted: Note | None) -> Iterator[Finding]:
    """What is wrong between two records that follow each other."""
    if after.seq == before.seq:
        if after.hash != before.hash:
            yield Finding(Fault.FORK, after.seq, "two different records have this number")
        else:
            yield Finding(Fault.ORDER, after.seq, "the same record stands here twice")
    elif after.seq < before.seq:
        yield Finding(Fault.ORDER, after.seq, f"stands after {before.seq}")
    elif after.seq > before.seq + 1:
        first, last = before.seq + 1, after.seq - 1
        known = noted is not None and (noted.note, noted.first, noted.last) == ("gap", first, last)
        # A note is not part of the chain: it explains, it does not excuse. Another copy has the records.
        why = "; this copy noted that it was away" if known else ""
        yield Finding(Fault.GAP, after.seq, f"{_range(first, last)} missing{why}")
    elif after.prev != before.hash:
        yield Finding(Fault.BROKEN, after.seq, f"was not written after this record {before.seq}")


def _range(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def _acts(records: Sequence[Record]) -> Iterator[Finding]:
    intents = {r.seq: r for r in records if r.kind is Kind.INTENT}
    answered = {r.of for r in records if r.kind is Kind.RESULT}
    for intent in intents.values():
        if intent.seq not in answered and _over(intent, records):
            yield Finding(Fault.NO_RESULT, intent.seq, f"{intent.action}: nobody wrote what became of it")
    first = min((r.seq for r in records), default=0)
    for result in records:
        if result.kind is Kind.RESULT and result.of not in intents and result.of >= first:
            yield Finding(Fault.NO_INTENT, result.seq, f"{result.action}: nobody announced it as {result.of}")


def _over(intent: Record, records: Sequence[Record]) -> bool:
    """It cannot be at work any more: its writer wrote on for long, or another one took its place."""
    later = [r for r in records if r.seq > intent.seq]
    if any((r.node, r.boot) != (intent.node, intent.boot) for r in later):
        return True
    return any(r.mono_ms - intent.mono_ms > LONGEST_ACT_MS for r in later)


def in_hand(records: Sequence[Record]) -> tuple[Record, ...]:
    """Intents without a result, oldest first."""
    answered = {r.of for r in records if r.kind is Kind.RESULT}
    return tuple(r for r in records if r.kind is Kind.INTENT and r.seq not in answered)
