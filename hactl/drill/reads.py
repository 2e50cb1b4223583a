"""I5: a read through the VIP sees every row that was acknowledged before it asked.

Exact, from the times of answer and question, without any tolerance. Each writing client's rows are a register
that only counts up, so the highest one that a read saw tells which of them it did not see. A row below that
one which is missing is I3's finding.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hactl.drill.finding import Finding, some
from hactl.drill.history import Outcome, Read, Write

NEAR = 64  # a client's writes of one moment are answered in any order, but no more than these


@dataclass(frozen=True)
class Stale:
    """A read, and the first acknowledged write that it did not see. `behind`: seconds from its answer on."""

    read: Read
    missed: Write

    @property
    def behind(self) -> float:
        return asked(self.read) - self.missed.end

    def __str__(self) -> str:
        r, w = self.read, self.missed
        role = ", in recovery" if r.recovery else ""
        return (
            f"{r.client} asked {r.node}{role} at {asked(r):.3f} s, saw {w.client} up to {r.seen[w.client]}; "
            f"{w.client} {w.seq} was acknowledged at {w.end:.3f} s, {1000 * self.behind:.0f} ms before"
        )


def asked(read: Read) -> float:
    return read.begin if read.sent is None else read.sent


def reads_fresh(reads: Sequence[Read], writes: Sequence[Write]) -> Iterator[Finding]:
    """I5, the stalest first."""
    found = sorted(stale(reads, writes), key=lambda s: -s.behind)
    yield from some("I5", "reads did not see what was acknowledged before", list(map(str, found)))


def stalest(reads: Sequence[Read], writes: Sequence[Write]) -> int | None:
    """Milliseconds; 0 when no read was stale, None when nobody read."""
    if not any(r.outcome is Outcome.OK for r in reads):
        return None
    return round(1000 * max((s.behind for s in stale(reads, writes)), default=0.0))


def stale(reads: Sequence[Read], writes: Sequence[Write]) -> Iterator[Stale]:
    """At most one for each read: the write that had been acknowledged for the longest time."""
    registers: dict[str, list[Write]] = defaultdict(list)
    for write in writes:
        if write.outcome is Outcome.OK:
            registers[write.client].append(write)
    sorted_ = {client: sorted(mine, key=lambda w: w.end) for client, mine in registers.items()}
    ends = {client: [w.end for w in mine] for client, mine in sorted_.items()}
    for read in reads:
        if read.outcome is not Outcome.OK:
            continue
        missed = [
            unseen
            for client, highest in read.seen.items()
            if (unseen := _missed(sorted_.get(client, []), ends.get(client, []), asked(read), highest))
        ]
        if missed:
            yield Stale(read, min(missed, key=lambda w: w.end))


def _missed(mine: Sequence[Write], ends: Sequence[float], at: float, highest: int) -> Write | None:
    """The first one answered before `at` that is above `highest`; looked for from the newest one back."""
    found, newest = None, bisect_left(ends, at)
    for place in range(newest - 1, -1, -1):
        if mine[place].seq > highest:
            found = mine[place]
        elif newest - place > NEAR:
            break
    return found
